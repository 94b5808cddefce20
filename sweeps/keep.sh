#!/usr/bin/env bash
# Verify every run below a folder (its rules, its predictions scored again, and predicted again from the weights), keep
# its record, what training logged and how far it was verified in leaderboards/results, where they are committed, and
# write every page that is made of them. Of made-up patients up to three pictures of one run a protocol are kept, too.
#   sweeps/keep.sh runs          needs the converted datasets in data, or in $BENCH_DATA
set -euo pipefail
results="$(dirname "$0")/../leaderboards/results"
bench verify "$1" --level "${LEVEL:-2}" --out "$results"
for run in "$1"/phantom-*/{full,semi10}/supervised/*; do
  grep -qs '"seed": 0' "$run/record.json" && grep -q '"task": "labels"' "$run/record.json" || continue
  protocol=$(basename "$(dirname "$(dirname "$run")")")
  dataset=$(basename "${run%/"$protocol"/*}")
  pictures=$(mktemp -d)
  bench show "$run" --extremes --slices 2 --out "$pictures"
  for picture in "$pictures"/*.png; do # of two test patients one is the worst and one the best
    mv "$picture" "$results/$dataset/$protocol-supervised-$(basename "$run").$(basename "$picture")"
  done
  rmdir "$pictures"
done
bench table --write "$results/.."
