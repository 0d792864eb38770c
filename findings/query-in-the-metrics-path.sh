#!/usr/bin/env bash
# A query in metrics_path works in VictoriaMetrics and is asked for as a file name by Prometheus.
#
# Expected: `metrics_path: /probe?account=a` asks for the path with its query in both, or is refused when the file is loaded.
# Found: Prometheus accepts the file, escapes the question mark and asks for `/probe%3Faccount=a`, which servers answer with 404.
# VictoriaMetrics sends the query. With Prometheus it belongs into `params`.
# Concerns: whoever copies a scrape configuration that works with vmagent to Prometheus, and exporters of the kind of blackbox.
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
echo 'm 1' >pages/probe
pages=$(free_port)
python3 -u -m http.server --bind 127.0.0.1 --directory pages "$pages" >/dev/null 2>>asked &
cat >scrape.yml <<EOF
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - { job_name: a, metrics_path: '/probe?account=a', static_configs: [{ targets: ['127.0.0.1:$pages'] }] }
EOF
requests() { grep -o '"GET [^"]*" [0-9]*' asked | sort -u; }
was_asked() { requests >/dev/null; }

port=$(free_port)
"$prometheus" --config.file=scrape.yml --storage.tsdb.path=data --web.listen-address="127.0.0.1:$port" 2>/dev/null &
server=$!
until_true was_asked
kill "$server"
wait "$server" || true
expect "Prometheus asks" '"GET /probe%3Faccount=a HTTP/1.1" 404' "$(requests)"
: >asked
"$victoria" -promscrape.config=scrape.yml -storageDataPath=data-victoria -httpListenAddr="127.0.0.1:$(free_port)" 2>/dev/null &
until_true was_asked
expect "VictoriaMetrics asks" '"GET /probe?account=a HTTP/1.1" 200' "$(requests)"
