#!/usr/bin/env bash
# The phantom tables of the README: full against semi10 over three seeds on made-up patients.
set -euo pipefail
for source in acdc chaos; do
  [ -d "raw/$source" ] || bench phantom "$source" "raw/$source" --cases 20 --seed 0
  bench convert "$source" "raw/$source" data
  for protocol in full semi10 scribble noisy; do
    bench run --dataset "phantom-$source" --protocol "$protocol" --device cpu --seed 0,1,2
  done
done
