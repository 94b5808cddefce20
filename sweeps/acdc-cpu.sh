#!/usr/bin/env bash
# The ACDC table of the README: every run of it, in order. Done runs are skipped, interrupted ones continue.
# Needs data/acdc (bench convert acdc FOLDER data). Two CPU cores: three to four hours in all.
set -euo pipefail
run() { bench run --dataset acdc --preset cpu --device cpu "$@"; }
run --protocol full
run --protocol semi10 --seed 0,1,2
run --protocol scribble --seed 0,1,2
run --protocol noisy --seed 0,1,2
run --protocol semi10 --method mean_teacher --seed 0,1,2
run --protocol noisy --method gce --seed 0,1,2
run --protocol full --set train.precision=fp32 # beside bf16: may bf16 be the default?
run --protocol semi10 --seed 0,1,2 --set train.precision=fp32 # three seeds of it
