#!/usr/bin/env bash
# A JavaScript parser of the text format merges all histograms of a family into the last one.
#
# Expected: parse-prometheus-text-format gives one entry for each label set of a histogram or summary, as it does for gauges.
# Found: there is one entry for the family, without labels. Buckets of later label sets overwrite those of earlier ones, and no
# error says so. Sum and count are missing.
# Concerns: whoever reads pages in Node.js with this package.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# Prints what was seen, and fails if it is not what this file says.
expect() {
    echo "$1: $3"
    if [ "$2" != "$3" ]; then
        echo "  expected by this file: $2" >&2
        exit 1
    fi
}

npm install --silent --no-audit --no-fund --prefix . parse-prometheus-text-format@1.1.1 >/dev/null
node -p '"parse-prometheus-text-format " + require("./node_modules/parse-prometheus-text-format/package.json").version'
cat >page.txt <<'EOF'
# TYPE wait_seconds histogram
wait_seconds_bucket{queue="a",le="1"} 1
wait_seconds_bucket{queue="a",le="+Inf"} 2
wait_seconds_sum{queue="a"} 3
wait_seconds_count{queue="a"} 2
wait_seconds_bucket{queue="b",le="1"} 7
wait_seconds_bucket{queue="b",le="+Inf"} 9
wait_seconds_sum{queue="b"} 30
wait_seconds_count{queue="b"} 9
# TYPE depth gauge
depth{queue="a"} 1
depth{queue="b"} 7
EOF
cat >parse.mjs <<'EOF'
import { readFileSync } from "node:fs";
import parser from "parse-prometheus-text-format";
const parse = parser.default ?? parser;
for (const family of parse(readFileSync("page.txt", "utf8"))) console.log(JSON.stringify(family.metrics));
EOF
node parse.mjs >said
expect "two histograms" '[{"buckets":{"1":"7","+Inf":"9"}}]' "$(sed -n 1p said)"
expect "two gauges" '[{"value":"1","labels":{"queue":"a"}},{"value":"7","labels":{"queue":"b"}}]' "$(sed -n 2p said)"
