#!/usr/bin/env bash
# Datadog's OpenMetrics check drops untyped, unknown and info metrics, NaN and infinity, and reports itself healthy.
#
# Expected: with `metrics: [".+"]` the check submits every sample, a metric without a type as a gauge, or says what it leaves out.
# Found: it submits the gauge alone. No warning, no error, and its health is OK. A metric of Prometheus whose type line is
# missing is untyped, so a page without type lines is read every time and gives nothing.
# Concerns: whoever has Datadog read hand-written pages, textfiles or what other tools pass on, where types are often lost.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Waits until a command succeeds.
until_true() {
    for _ in $(seq 240); do
        if "$@"; then return; fi
        sleep 0.5
    done
    echo "waited in vain for: $*" >&2
    exit 1
}

# Prints what was seen, and fails if it is not what this file says.
expect() {
    echo "$1: $3"
    if [ "$2" != "$3" ]; then
        echo "  expected by this file: $2" >&2
        exit 1
    fi
}

python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check datadog-checks-base==38.7.0 prometheus-client==0.26.0 \
    lazy-loader==0.5 requests==2.34.2 wrapt==2.3.0 cachetools==7.2.0 binary==1.0.2 pyyaml==6.0.3 simplejson==4.1.2 \
    python-dateutil==2.9.0.post0 requests-toolbelt==1.0.0 requests-unixsocket2==1.0.1 jellyfish==1.2.1 pydantic==2.13.5 \
    cryptography==50.0.1
python/bin/pip list --disable-pip-version-check | grep datadog
mkdir pages
cat >pages/page.txt <<'EOF'
no_type_line 1
# TYPE untyped untyped
untyped 1
# TYPE not_a_number gauge
not_a_number NaN
# TYPE infinite gauge
infinite +Inf
# TYPE typed gauge
typed 1
EOF
port=$(free_port)
python3 -m http.server --bind 127.0.0.1 --directory pages "$port" >/dev/null 2>&1 &
until_true curl -sf -o /dev/null "http://127.0.0.1:$port/page.txt"
cat >check.py <<'EOF'
import sys
from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.base.stubs import aggregator

check = OpenMetricsBaseCheckV2("a", {}, [{"openmetrics_endpoint": sys.argv[1], "namespace": "a", "metrics": [".+"]}])
error = check.run()
health = [status.status for status in aggregator.service_checks("a.openmetrics.health")]
print(f"submitted {sorted(aggregator.metric_names)}, error {error!r}, warnings {check.get_warnings()}, health {health}")
EOF
expect "of five samples" "submitted ['a.typed'], error '', warnings [], health [0]" "$(python/bin/python check.py "http://127.0.0.1:$port/page.txt")"
