#!/usr/bin/env bash
# Training speed on a GPU in under nine minutes: smp resnet34 256x256 in bf16 at batches of 24 to 256, mean teacher, a 3D
# U-Net at 128^3, eager and compiled; share of the measured peak, idle share, memory, minutes of 30 000 ACDC steps.
# Writes speed-gpu.json and speed-gpu.md to OUT (build/speed-gpu). Needs torch, numpy, msgspec, isal, safetensors; smp
# for resnet34: a machine without says so and times the rest.
#   sweeps/speed-gpu.sh
#   DEVICE=cpu STEPS=2 SIZE=32 CUBE=32 MATRIX=128 BATCHES='4 8' sweeps/speed-gpu.sh    tries the plumbing anywhere
#   SECONDS_IN_ALL=300 COMPILED=eager sweeps/speed-gpu.sh    less time; COMPILED: both, eager or compiled
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD
exec "${PYTHON:-python3}" sweeps/speed_gpu.py
