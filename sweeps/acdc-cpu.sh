#!/usr/bin/env bash
# The ACDC table of the README: every run of it, in order. Done runs are skipped, interrupted ones continue.
# Needs data/acdc (bench convert acdc FOLDER data). Two CPU cores: about an hour and a half in all.
set -euo pipefail
run() { bench run --dataset acdc --preset cpu --device cpu "$@"; }
run --protocol full
run --protocol semi10
run --protocol scribble
run --protocol noisy
run --protocol semi10 --method mean_teacher
run --protocol noisy --method gce
run --protocol full --set train.precision=fp32 # beside bf16: may bf16 be the default?
