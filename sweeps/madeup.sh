#!/usr/bin/env bash
# The brain tasks and both studies on made-up patients, for docs/coverage.md: what is shown is that they run and learn,
# and no number says anything of real ones. An hour of one core; done runs are skipped, interrupted ones continue.
#   sweeps/madeup.sh            all of it, or: tasks, tissue, lung, liver
#   sweeps/keep.sh runs
# Data and runs lie in the folder it is called from.
set -euo pipefail

convert() { # convert SOURCE NAME OPTIONS...: a made-up dataset in its native layout, then in ours
  local source=$1 name=$2
  shift 2
  if [ ! -d "raw/$name" ]; then
    rm -rf "raw/$name.part"
    bench phantom "$source" "raw/$name.part" --seed 0 "$@"
    mv "raw/$name.part" "raw/$name"
  fi
  bench convert "$source" "raw/$name" data
}

run() { bench run --protocol full --device cpu --set train.threads=1 "$@"; }

for what in ${@:-tasks tissue lung liver}; do
  case "$what" in
    tasks)
      convert ixi heads --cases 120 --quirk signal --quirk contrasts=T1
      for task in sex age autoencoder superres; do run --dataset phantom-ixi-t1 --task "$task"; done
      ;;
    tissue)
      convert mrbrains13 brains --cases 12
      run --dataset phantom-mrbrains13-tissue --preset demo3d
      ;;
    lung) bench study lung-tumour --phantom --size demo --device cpu ;;
    liver) bench study chaos-liver --phantom --size demo --device cpu ;;
    *)
      echo "there is no '$what': tasks, tissue, lung, liver" >&2
      exit 2
      ;;
  esac
done
