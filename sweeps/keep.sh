#!/usr/bin/env bash
# Verify every run below a folder (its rules, its predictions scored again, and predicted again from the weights), keep
# its record, what training logged and how far it was verified in leaderboards/results, where they are committed, and
# write every page that is made of them. Of made-up patients three pictures of the first seed are kept, too.
#   sweeps/keep.sh runs          needs the converted datasets in data, or in $BENCH_DATA
set -euo pipefail
results="$(dirname "$0")/../leaderboards/results"
bench verify "$1" --level "${LEVEL:-2}" --out "$results"
for record in "$results"/phantom-*/*.json; do
  run=$(echo "$1"/phantom-*/*/*/"$(basename "${record%.json}" | sed 's/.*-//')")
  if [ -d "$run" ] && grep -q '"seed": 0' "$run/record.json" && [ ! -f "${record%.json}.worst.png" ]; then
    pictures=$(mktemp -d)
    bench show "$run" --extremes --slices 3 --out "$pictures"
    for name in worst median best; do mv "$pictures/$name.png" "${record%.json}.$name.png"; done
    rmdir "$pictures"
  fi
done
bench table --write "$results/.."
