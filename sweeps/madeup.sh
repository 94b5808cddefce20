#!/usr/bin/env bash
# The brain tasks and both studies on made-up patients, for docs/coverage.md: what is shown is that they run and learn,
# and no number says anything of real ones. An hour of one core; done runs are skipped, interrupted ones continue.
#   sweeps/madeup.sh            all of it, or: tasks, tissue, lung, liver
#   sweeps/keep.sh runs
# Data and runs lie in the folder it is called from.
set -euo pipefail

once() { # once NAME COMMAND...: what the command writes to raw/part becomes raw/NAME, whole
  [ -d "raw/$1" ] && return
  rm -rf raw/part
  "${@:2}"
  mv raw/part "raw/$1"
}

for what in ${@:-tasks tissue lung liver}; do
  case "$what" in
    tasks)
      once heads bench phantom ixi raw/part --cases 120 --seed 0 --quirk signal --quirk contrasts=T1
      bench convert ixi raw/heads data
      for task in sex age autoencoder superres; do
        bench run --dataset phantom-ixi-t1 --protocol full --task "$task" --device cpu --set train.threads=1
      done
      ;;
    tissue)
      once brains bench phantom mrbrains13 raw/part --cases 12 --seed 0
      bench convert mrbrains13 raw/brains data
      bench run --dataset phantom-mrbrains13-tissue --protocol full --preset demo3d --device cpu --set train.threads=1
      ;;
    lung)
      bench study lung-tumour --phantom --size demo --device cpu
      ;;
    liver)
      bench study chaos-liver --phantom --size demo --device cpu
      ;;
    *)
      echo "there is no '$what': tasks, tissue, lung, liver" >&2
      exit 2
      ;;
  esac
done
