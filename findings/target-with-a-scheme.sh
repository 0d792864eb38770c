#!/usr/bin/env bash
# Prometheus drops a discovered target that is written with its scheme; VictoriaMetrics scrapes it.
#
# Expected: a service discovery that answers `http://127.0.0.1:9100` either works or makes the refresh fail, which a metric counts.
# Found: Prometheus takes the list, drops the target and writes one log line. The job has no target, so there is no `up` to
# alert on, and the counter of failed refreshes stays 0. VictoriaMetrics splits the address and scrapes it.
# Concerns: whoever writes an HTTP service discovery and tries it with vmagent alone.
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
debian victoria-metrics 1.145.0+ds1-2 forky
prometheus=$folder/prometheus-3.5.3+ds1-6/usr/bin/prometheus
victoria=$folder/victoria-metrics-1.145.0+ds1-2/usr/bin/victoria-metrics
"$prometheus" --version 2>&1 | head -n 1
echo "Debian's victoria-metrics 1.145.0"

mkdir pages
echo 'm 1' >pages/metrics
pages=$(free_port)
echo "[{\"targets\": [\"http://127.0.0.1:$pages\"]}]" >pages/sd.json
python3 -u -m http.server --bind 127.0.0.1 --directory pages "$pages" >/dev/null 2>>asked &
cat >scrape.yml <<EOF
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - { job_name: a, http_sd_configs: [{ url: 'http://127.0.0.1:$pages/sd.json' }] }
EOF
scraped() { grep -q 'GET /metrics' asked; }
dropped() { grep -q 'Creating target failed' log; }
number() { curl -s --data-urlencode "query=$2" "http://127.0.0.1:$1/api/v1/query" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["data"]["result"]))'; }

port=$(free_port)
"$prometheus" --config.file=scrape.yml --storage.tsdb.path=data --web.listen-address="127.0.0.1:$port" 2>log &
server=$!
until_true dropped
grep -o 'err=.*' log | head -n 1
expect "Prometheus, series of up" 0 "$(number "$port" up)"
expect "Prometheus, failed refreshes" "prometheus_sd_http_failures_total 0" "$(curl -s "http://127.0.0.1:$port/metrics" | grep '^prometheus_sd_http_failures_total')"
kill "$server"
wait "$server" || true

port=$(free_port)
"$victoria" -promscrape.config=scrape.yml -storageDataPath=data-victoria -httpListenAddr="127.0.0.1:$port" -search.latencyOffset=0s 2>/dev/null &
until_true scraped
is_up() { [ "$(number "$port" 'up == 1')" = 1 ]; }
until_true is_up
expect "VictoriaMetrics, targets that are up" 1 "$(number "$port" 'up == 1')"
