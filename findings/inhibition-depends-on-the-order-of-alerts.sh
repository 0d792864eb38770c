#!/usr/bin/env bash
# In Alertmanager 0.33 an alert can hide the one that inhibits it.
#
# Expected: a rule whose source matches two alerts, one of which is its target too, mutes the target because of the other one,
# in whichever order they come. Alertmanager 0.25 does so.
# Found: in 0.33.1 it depends on the order. If the alert that matches both sides comes last, it takes the other's place as the
# source for these labels; and since an alert does not inhibit itself, it is not muted.
# Concerns: inhibition rules whose source pattern is wider than "the other alert", such as all of a severity or of a team.
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

debian prometheus-alertmanager 0.25.0-1+b4 bookworm
debian prometheus-alertmanager 0.33.1-5 forky

cat >alertmanager.yml <<'EOF'
route: { receiver: nobody }
receivers: [{ name: nobody }]
inhibit_rules:
  - { source_matchers: [name=~"cause|effect"], target_matchers: [name="effect"], equal: [host] }
EOF
# The state of the alert `effect` when two alerts come one after the other. Called in a subshell, whose end ends the server.
state() { # programs, first, second
    local port
    port=$(free_port)
    "$1/prometheus-alertmanager" --config.file=alertmanager.yml --storage.path="$folder/data-$port" \
        --web.listen-address="127.0.0.1:$port" --cluster.listen-address= >/dev/null 2>&1 &
    trap "kill $!; wait" EXIT
    until_true curl -sf -o /dev/null "http://127.0.0.1:$port/-/ready"
    for name in "$2" "$3"; do
        curl -sf -o /dev/null -H 'Content-Type: application/json' -d "[{\"labels\": {\"name\": \"$name\", \"host\": \"a\"}}]" \
            "http://127.0.0.1:$port/api/v2/alerts"
        known() { curl -sf "http://127.0.0.1:$port/api/v2/alerts" | grep -q "\"$name\""; }
        until_true known
        # The inhibitor takes alerts in a moment after they are stored.
        sleep 1
    done
    curl -sf "http://127.0.0.1:$port/api/v2/alerts" |
        python3 -c 'import json, sys; [print(a["status"]["state"]) for a in json.load(sys.stdin) if a["labels"]["name"] == "effect"]'
}
for version in 0.25.0-1+b4 0.33.1-5; do
    programs=$folder/prometheus-alertmanager-$version/usr/bin
    "$programs/prometheus-alertmanager" --version 2>&1 | head -n 1
    expect "effect after cause" "$([ "$version" = 0.33.1-5 ] && echo active || echo suppressed)" "$(state "$programs" cause effect)"
    expect "cause after effect" suppressed "$(state "$programs" effect cause)"
done
