#!/usr/bin/env bash
# The gate of retrained methods: three seeds of four protocols on made-up hearts, in float32 on one thread, beside the
# committed records. Data, runs and the page of what moved (gate.md) lie in the folder it is called from.
#   sweeps/gate.sh          train and compare; exit 1 on a regression. Four minutes on two cores
#   sweeps/gate.sh train    train only: the workflow compares with the action
#   SEEDS=5,6,7 sweeps/gate.sh    other seeds than the references have: they should pass, too
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export SEEDS=${SEEDS:-0,1,2}
WHAT='' "$here/phantom.sh" acdc
# Two at a time, one thread each: the same numbers as one after the other.
printf '%s\n' full semi10 scribble noisy | xargs -P 2 -I '{}' env WHAT='{}' "$here/phantom.sh" acdc
[ "${1:-}" = train ] || bench compare "$here/../leaderboards/results/phantom-acdc" runs --fail-on regression \
  --only protocol=full,semi10,scribble,noisy50 --only method=supervised --only train.precision=fp32 --out gate.md
