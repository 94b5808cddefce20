#!/usr/bin/env bash
# Copy the records below a folder of runs to leaderboards/results, where they are committed, with what their training
# logged beside them, and write every page that is made of them.
#   sweeps/keep.sh runs
set -euo pipefail
results="$(dirname "$0")/../leaderboards/results"
find "$1" -name record.json | sort | while read -r record; do
  run=$(dirname "$record")
  method=$(dirname "$run")
  protocol=$(dirname "$method")
  dataset=$(dirname "$protocol")
  stem="$results/$(basename "$dataset")/$(basename "$protocol")-$(basename "$method")-$(basename "$run")"
  mkdir -p "$(dirname "$stem")"
  cp "$record" "$stem.json"
  if [ -f "$run/model/log.jsonl" ]; then cp "$run/model/log.jsonl" "$stem.log.jsonl"; fi
done
bench table --write "$results/.."
