#!/usr/bin/env bash
# Copy the records below a folder of runs to leaderboards/results, where they are committed, and fill the README's tables.
#   sweeps/keep.sh runs
set -euo pipefail
results="$(dirname "$0")/../leaderboards/results"
find "$1" -name record.json | sort | while read -r record; do
  run=$(dirname "$record")
  method=$(dirname "$run")
  protocol=$(dirname "$method")
  dataset=$(dirname "$protocol")
  mkdir -p "$results/$(basename "$dataset")"
  cp "$record" "$results/$(basename "$dataset")/$(basename "$protocol")-$(basename "$method")-$(basename "$run").json"
done
bench table "$results" --readme "$results/../../README.md"
