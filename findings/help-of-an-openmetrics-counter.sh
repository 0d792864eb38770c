#!/usr/bin/env bash
# Prometheus does not find the help of a counter that it scraped as OpenMetrics.
#
# Expected: the metadata of the series `jobs_total` can be asked for by that name, in whichever format it was scraped.
# Found: OpenMetrics names the family `jobs` and the sample `jobs_total`. Prometheus stores the metadata under the family, so
# asking for `jobs_total` gives nothing; scraped as plain text the same counter has its help. Interfaces that show help and
# type beside a series show none.
# Concerns: exporters that switch to OpenMetrics, and interfaces that look help up by the name of a series.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"

# Unpacks a Debian package of an exact version and suite, from the mirror that this machine uses.
debian() {
    local package=$1 version=$2 suite=$3 apt=$folder/apt-$3 mirror options
    mirror=$(find /etc/apt/sources.list* -type f -exec grep -hoE '[a-z]+://[^ ]+/debian/?( |$)' {} + | sed -n 1p)
    options=(-qq -o "Dir::State=$apt/state" -o "Dir::Cache=$apt/cache" -o "Dir::Etc::SourceList=$apt/sources.list"
        -o Dir::Etc::SourceParts=- -o Dir::State::status=/dev/null -o APT::Sandbox::User=root -o Acquire::Languages=none)
    if ! [ -d "$apt" ]; then
        mkdir -p "$apt"/state/lists/partial "$apt"/cache/archives/partial
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources.list"
        apt-get "${options[@]}" update
    fi
    mkdir "$folder/$package-$version"
    (cd "$folder/$package-$version" && apt-get "${options[@]}" download "$package=$version" && dpkg-deb --extract ./*.deb .)
}

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

debian prometheus 3.5.3+ds1-6 forky
prometheus=$folder/prometheus-3.5.3+ds1-6/usr/bin/prometheus
"$prometheus" --version 2>&1 | head -n 1

cat >server.py <<'EOF'
import http.server
PAGES = {
    "/text": ("text/plain; version=0.0.4", "# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\njobs_total 1\n"),
    "/open": ("application/openmetrics-text; version=1.0.0", "# HELP jobs Jobs done.\n# TYPE jobs counter\njobs_total 1\n# EOF\n"),
}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kind, page = PAGES[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(page.encode())
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
EOF
python3 server.py >page-port &
until_true test -s page-port
for format in text open; do
    port=$(free_port)
    cat >$format.yml <<EOF
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - { job_name: a, metrics_path: /$format, static_configs: [{ targets: ['127.0.0.1:$(cat page-port)'] }] }
EOF
    "$prometheus" --config.file=$format.yml --storage.tsdb.path=data-$format --web.listen-address="127.0.0.1:$port" 2>/dev/null &
    scraped() { curl -s "http://127.0.0.1:$port/api/v1/query?query=jobs_total" | grep -q '"value"'; }
    until_true scraped
    help_of() {
        curl -s "http://127.0.0.1:$port/api/v1/metadata?metric=$1" |
            python3 -c 'import json, sys; print([m["help"] for found in json.load(sys.stdin)["data"].values() for m in found])'
    }
    case $format in
    text) expect "text, help of jobs_total" "['Jobs done.']" "$(help_of jobs_total)" ;;
    open)
        expect "OpenMetrics, help of jobs_total" "[]" "$(help_of jobs_total)"
        expect "OpenMetrics, help of jobs" "['Jobs done.']" "$(help_of jobs)"
        ;;
    esac
done
