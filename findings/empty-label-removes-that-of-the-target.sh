#!/usr/bin/env bash
# With honor_labels an empty label on a page takes the target's label away.
#
# Expected: a label with an empty value is the same as no label, so `m{job="",instance=""}` gets job and instance of the target.
# Found: with `honor_labels: true` both are removed. The series has neither, in Prometheus and in VictoriaMetrics; it belongs to
# no job, and a query by job does not find it. Two targets with such a page write the same series.
# Concerns: exporters and gateways that write labels which can be empty, read with the option that federation needs.
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
printf '# TYPE m gauge\nm{job="",instance=""} 1\n' >pages/page.txt
port=$(free_port)
python3 -m http.server --bind 127.0.0.1 --directory pages "$port" >/dev/null 2>&1 &
cat >scrape.yml <<EOF
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - { job_name: a, honor_labels: true, metrics_path: /page.txt, static_configs: [{ targets: ['127.0.0.1:$port'] }] }
EOF
# The series m of a server on a port, as JSON.
series() { curl -s "http://127.0.0.1:$1/api/v1/query?query=m" | grep -o '"metric":{[^}]*}'; }
has_series() { series "$1" >/dev/null; }

port=$(free_port)
"$prometheus" --config.file=scrape.yml --storage.tsdb.path=data --web.listen-address="127.0.0.1:$port" 2>/dev/null &
until_true has_series "$port"
expect "Prometheus 3.5.3" '"metric":{"__name__":"m"}' "$(series "$port")"
port=$(free_port)
"$victoria" -promscrape.config=scrape.yml -storageDataPath=data-victoria -httpListenAddr="127.0.0.1:$port" -search.latencyOffset=0s 2>/dev/null &
until_true has_series "$port"
expect "VictoriaMetrics 1.145.0" '"metric":{"__name__":"m"}' "$(series "$port")"
