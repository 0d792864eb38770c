#!/usr/bin/env bash
# A page with the labels `job` and `exported_job` comes out differently in Prometheus and VictoriaMetrics.
#
# Expected: a label that clashes with one of the target gets the prefix `exported_`; if that name is taken as well, both scrapers
# rename the same one of the two.
# Found: Prometheus keeps the page's `exported_job` and moves its `job` to `exported_exported_job`. VictoriaMetrics 1.145 does it
# the other way round, so the two values change places. VictoriaMetrics 1.79 loses the value of `job`.
# Concerns: whoever scrapes a federating server or a gateway, where `exported_job` is common, or migrates between the two.
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
debian victoria-metrics 1.79.5+ds1-2+b5 bookworm
prometheus=$folder/prometheus-3.5.3+ds1-6/usr/bin/prometheus
"$prometheus" --version 2>&1 | head -n 1
echo "Debian's victoria-metrics 1.145.0 and 1.79.5"

mkdir pages
printf '# TYPE m gauge\nm{job="a",exported_job="b"} 1\n' >pages/page.txt
port=$(free_port)
python3 -m http.server --bind 127.0.0.1 --directory pages "$port" >/dev/null 2>&1 &
cat >scrape.yml <<EOF
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - { job_name: target, metrics_path: /page.txt, static_configs: [{ targets: ['127.0.0.1:$port'] }] }
EOF
# The labels of the series m in a server on a port.
labels() {
    curl -s "http://127.0.0.1:$1/api/v1/query?query=m" | python3 -c '
import json, sys
labels = json.load(sys.stdin)["data"]["result"][0]["metric"]
print(" ".join(f"{name}={value}" for name, value in sorted(labels.items()) if "job" in name))' 2>/dev/null
}
has_series() { labels "$1" | grep -q job; }
seen() { until_true has_series "$1"; labels "$1"; }

port=$(free_port)
"$prometheus" --config.file=scrape.yml --storage.tsdb.path=data --web.listen-address="127.0.0.1:$port" 2>/dev/null &
expect "Prometheus 3.5.3" "exported_exported_job=a exported_job=b job=target" "$(seen "$port")"
for version in 1.145.0+ds1-2 1.79.5+ds1-2+b5; do
    port=$(free_port)
    "$folder/victoria-metrics-$version/usr/bin/victoria-metrics" -promscrape.config=scrape.yml -storageDataPath="data-$version" \
        -httpListenAddr="127.0.0.1:$port" -search.latencyOffset=0s 2>/dev/null &
    case $version in
    1.145*) expect "VictoriaMetrics $version" "exported_exported_job=b exported_job=a job=target" "$(seen "$port")" ;;
    *) expect "VictoriaMetrics $version" "exported_job=b job=target" "$(seen "$port")" ;;
    esac
done
