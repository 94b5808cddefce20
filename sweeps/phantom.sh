#!/usr/bin/env bash
# The expected records of the phantoms: five seeds of everything, in float32 on one thread, so that a processor with
# bfloat16 or more cores does nothing else. `bench compare` learns from them how far seeds lie apart.
#   sweeps/phantom.sh             both phantoms: 80 runs, each about 20 seconds of one core
#   sweeps/phantom.sh chaos       one of them; two calls at once, one for each, fill two cores
#   SEEDS=0,1,2 WHAT="full noisy:gce" sweeps/phantom.sh acdc    WHAT= makes the data alone
# Data and runs lie in the folder it is called from. Done runs are skipped, interrupted ones continue.
set -euo pipefail
for source in ${@:-acdc chaos}; do
  raw="raw/$source-40-0" # forty patients: eight of them test, enough for a paired test
  if [ ! -d "$raw" ]; then
    rm -rf "$raw.part"
    bench phantom "$source" "$raw.part" --cases 40 --seed 0
    mv "$raw.part" "$raw"
  fi
  # Of two calls at once in one folder the second would find the first at work; WHAT= converts beforehand.
  [ -n "$(ls -d data/phantom-"$source"*/splits/default.json 2> /dev/null)" ] || bench convert "$source" "$raw" data
  for what in ${WHAT-full semi10 scribble noisy semi25 semi50 semi10:mean_teacher noisy:gce}; do
    method=supervised
    [ "$what" = "${what#*:}" ] || method=${what#*:}
    bench run --dataset "phantom-$source" --protocol "${what%%:*}" --method "$method" --seed "${SEEDS:-0,1,2,3,4}" \
      --device cpu --set train.precision=fp32 --set train.threads=1
  done
done
