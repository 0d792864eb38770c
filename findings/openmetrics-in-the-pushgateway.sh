#!/usr/bin/env bash
# The Pushgateway takes a page of OpenMetrics, and turns its counters into untyped metrics.
#
# Expected: either the Pushgateway refuses OpenMetrics, or it takes it for what it is. A body that it answers with 200 keeps the
# types of its metrics.
# Found: the body is read as the older text format. A counter is stored, but as `untyped` and without help, since its family has
# another name than its sample. As soon as a family has the type `info` or `unknown`, or a sample has an exemplar, the same
# endpoint answers 400 to the whole body.
# Concerns: jobs that push what a client library writes as OpenMetrics: they work until somebody adds an info metric.
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
program=$folder/prometheus-pushgateway-1.11.2-1/usr/bin/prometheus-pushgateway
"$program" --version 2>&1 | head -n 1

port=$(free_port)
"$program" --web.listen-address="127.0.0.1:$port" 2>/dev/null &
until_true curl -sf -o /dev/null "http://127.0.0.1:$port/-/ready"
push() { # job, body
    printf "$2" | curl -s -o /dev/null -w '%{http_code}' -X PUT --data-binary @- \
        -H 'Content-Type: application/openmetrics-text; version=1.0.0' "http://127.0.0.1:$port/metrics/job/$1"
}
expect "a counter" 200 "$(push counter '# HELP runs Runs.\n# TYPE runs counter\nruns_total 5\n# EOF\n')"
expect "its type" "# TYPE runs_total untyped" "$(curl -s "http://127.0.0.1:$port/metrics" | grep '^# TYPE runs')"
expect "its help" 0 "$(curl -s "http://127.0.0.1:$port/metrics" | grep -c 'Runs\.' || true)"
expect "an info metric" 400 "$(push info '# TYPE build info\nbuild_info{version="1"} 1\n# EOF\n')"
expect "an unknown metric" 400 "$(push unknown '# TYPE runs unknown\nruns 5\n# EOF\n')"
expect "an exemplar" 400 "$(push exemplar '# TYPE runs counter\nruns_total 5 # {trace="x"} 1\n# EOF\n')"
