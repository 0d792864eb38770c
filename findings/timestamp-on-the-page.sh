#!/usr/bin/env bash
# VictoriaMetrics ignores timestamps on a page, and with honor_timestamps stores one sample many times.
#
# Expected: a sample with a timestamp on the page is stored at that time, once, however often the page is scraped, as in Prometheus.
# Found: VictoriaMetrics 1.145 stores it at the time of the scrape. With `honor_timestamps: true` it uses the page's timestamp,
# but each scrape adds a copy: count_over_time() counts scrapes where Prometheus counts one sample.
# Concerns: exporters of data that is measured elsewhere and carries its own time, such as federation and batch jobs.
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
measured=$(($(date +%s) - 60))
printf '# TYPE m gauge\nm 1 %s000\n' "$measured" >pages/page.txt
pages=$(free_port)
python3 -u -m http.server --bind 127.0.0.1 --directory pages "$pages" >/dev/null 2>>asked &
cat >scrape.yml <<EOF
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - { job_name: default, metrics_path: /page.txt, static_configs: [{ targets: ['127.0.0.1:$pages'] }] }
  - { job_name: honored, honor_timestamps: true, metrics_path: /page.txt, static_configs: [{ targets: ['127.0.0.1:$pages'] }] }
EOF
scraped_often() { [ "$(grep -c 'GET /page.txt' asked)" -ge 12 ]; }
# How many samples there are of a job, and how many of them have the time on the page.
samples() { # port, job
    curl -s --data-urlencode "query=m{job=\"$2\"}[10m]" "http://127.0.0.1:$1/api/v1/query" | python3 -c '
import json, sys
values = [value for series in json.load(sys.stdin)["data"]["result"] for value in series["values"]]
at_the_time = sum(time == int(sys.argv[1]) for time, _ in values)
print("one" if len(values) == 1 else "several", "all" if at_the_time == len(values) else "none" if at_the_time == 0 else "some")' "$measured"
}
several() { samples "$1" "$2" | grep -q several; }

port=$(free_port)
"$prometheus" --config.file=scrape.yml --storage.tsdb.path=data --web.listen-address="127.0.0.1:$port" 2>/dev/null &
server=$!
until_true scraped_often
expect "Prometheus, default: samples, and how many at the time on the page" "one all" "$(samples "$port" default)"
expect "Prometheus, honor_timestamps" "one all" "$(samples "$port" honored)"
kill "$server"
wait "$server" || true

: >asked
port=$(free_port)
"$victoria" -promscrape.config=scrape.yml -storageDataPath=data-victoria -httpListenAddr="127.0.0.1:$port" -search.latencyOffset=0s 2>/dev/null &
until_true scraped_often
until_true several "$port" default
expect "VictoriaMetrics, default" "several none" "$(samples "$port" default)"
until_true several "$port" honored
expect "VictoriaMetrics, honor_timestamps" "several all" "$(samples "$port" honored)"
