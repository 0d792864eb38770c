#!/usr/bin/env bash
# The Pushgateway and node_exporter add a sum and a count of 0 to a summary that has none.
#
# Expected: a summary with quantiles and no `_sum` and `_count`, which OpenMetrics allows, is passed on as it is.
# Found: both add `_sum 0` and `_count 0`. What was unknown is now a measured zero, and an average computed from the two is
# NaN instead of missing.
# Concerns: exporters and jobs that write quantiles alone into textfiles or push them.
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

debian prometheus-pushgateway 1.11.2-1 forky
debian prometheus-node-exporter 1.11.1-3 forky
gateway=$folder/prometheus-pushgateway-1.11.2-1/usr/bin/prometheus-pushgateway
node_exporter=$folder/prometheus-node-exporter-1.11.1-3/usr/bin/prometheus-node-exporter
"$gateway" --version 2>&1 | head -n 1
"$node_exporter" --version 2>&1 | head -n 1

mkdir textfiles
printf '# TYPE wait_seconds summary\nwait_seconds{quantile="0.5"} 3\n' >textfiles/wait.prom
port=$(free_port)
"$node_exporter" --web.listen-address="127.0.0.1:$port" --collector.disable-defaults --collector.textfile \
    --collector.textfile.directory=textfiles 2>/dev/null &
until_true curl -sf -o /dev/null "http://127.0.0.1:$port/metrics"
added() { curl -s "http://127.0.0.1:$1/metrics" | grep -E '^wait_seconds_(sum|count)' | sed 's/{.*}//' | sort | tr '\n' ' '; }
expect "node_exporter" "wait_seconds_count 0 wait_seconds_sum 0 " "$(added "$port")"
port=$(free_port)
"$gateway" --web.listen-address="127.0.0.1:$port" 2>/dev/null &
until_true curl -sf -o /dev/null "http://127.0.0.1:$port/-/ready"
curl -sf -X PUT --data-binary @textfiles/wait.prom "http://127.0.0.1:$port/metrics/job/a"
expect "Pushgateway" "wait_seconds_count 0 wait_seconds_sum 0 " "$(added "$port")"
