#!/usr/bin/env bash
# A group's limit, when exceeded, ends the alerts that were firing.
#
# Expected: `limit: 3` on a group guards against too many alerts: those beyond the third are left out, or the state of before stays.
# Found: when a rule gives five, Prometheus and vmalert drop every alert of the rule, those that had been firing too. The two
# alerts that were on become inactive at the moment when things get worse. Only the health of the rule tells.
# Concerns: whoever sets a limit on rules about many series as a safety net.
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
victoria=$folder/victoria-metrics-1.145.0+ds1-2/usr/bin
"$prometheus" --version 2>&1 | head -n 1
echo "vmalert of Debian's victoria-metrics 1.145.0"

mkdir pages
write_page() { # number of series
    { echo "# TYPE m gauge"; for i in $(seq "$1"); do echo "m{a=\"$i\"} 1"; done; } >pages/next && mv pages/next pages/page.txt
}
pages=$(free_port)
python3 -m http.server --bind 127.0.0.1 --directory pages "$pages" >/dev/null 2>&1 &
cat >rules.yml <<'EOF'
groups: [{ name: g, interval: 1s, limit: 3, rules: [{ alert: A, expr: m > 0 }] }]
EOF
cat >scrape.yml <<EOF
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - { job_name: a, metrics_path: /page.txt, static_configs: [{ targets: ['127.0.0.1:$pages'] }] }
EOF
{ echo "rule_files: [rules.yml]"; cat scrape.yml; } >prometheus.yml
ask() { # server, path, expression of Python on the answer
    curl -s "http://127.0.0.1:$1$2" | python3 -c "import json, sys; d = json.load(sys.stdin)['data']; print($3)"
}
firing() { ask "$1" /api/v1/alerts 'sum(alert["state"] == "firing" for alert in d["alerts"])'; }
error() { ask "$1" /api/v1/rules 'd["groups"][0]["rules"][0].get("lastError", "")'; }
two_fire() { [ "$(firing "$1" 2>/dev/null)" = 2 ]; }
limit_exceeded() { error "$1" | grep -q 'limit of 3'; }
try() { # name, port of the engine
    until_true two_fire "$2"
    echo "$1: 2 alerts fire; now 5 series meet the condition"
    write_page 5
    until_true limit_exceeded "$2"
    expect "$1, $(error "$2"), alerts that fire" 0 "$(firing "$2")"
}

write_page 2
port=$(free_port)
"$prometheus" --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address="127.0.0.1:$port" 2>/dev/null &
try "Prometheus 3.5.3" "$port"

write_page 2
database=$(free_port) port=$(free_port)
"$victoria/victoria-metrics" -promscrape.config=scrape.yml -storageDataPath=data-victoria -httpListenAddr="127.0.0.1:$database" \
    -search.latencyOffset=0s 2>/dev/null &
"$victoria/vmalert" -rule=rules.yml -datasource.url="http://127.0.0.1:$database" -notifier.blackhole -rule.evalDelay=0s \
    -httpListenAddr="127.0.0.1:$port" 2>/dev/null &
try "vmalert 1.145.0" "$port"
