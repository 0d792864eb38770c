#!/usr/bin/env bash
# A test that expects no alert passes for an alert that does not exist.
#
# Expected: promtool and vmalert-tool refuse a test of an alert whose name is in none of the rule files, or at least warn.
# Found: both report success and print no word about it. After a rule is renamed, all its tests that it does not fire go on passing.
# Concerns: whoever relies on negative tests of alerts. A positive test of each alert is the only proof that a name is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
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

debian promtool 3.5.3+ds1-6 forky
debian victoria-metrics 1.145.0+ds1-2 forky
promtool=$folder/promtool-3.5.3+ds1-6/usr/bin/promtool
vmalert_tool=$folder/victoria-metrics-1.145.0+ds1-2/usr/bin/vmalert-tool
"$promtool" --version | head -n 1
echo "vmalert-tool of Debian's victoria-metrics 1.145.0"

cat >rules.yml <<'EOF'
groups: [{ name: g, rules: [{ alert: DiskFull, expr: used > 90 }] }]
EOF
cat >test.yml <<'EOF'
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series: [{ series: used, values: '99x9' }]
    alert_rule_test:
      - { eval_time: 5m, alertname: DiskFul, exp_alerts: [] }
EOF
# The alert that is meant fires all the time.
sed 's/DiskFul,/DiskFull,/' test.yml >right.yml
if "$promtool" test rules right.yml >/dev/null 2>&1; then echo "the right name passes too" >&2; exit 1; fi
"$promtool" test rules test.yml
"$vmalert_tool" unittest --disableAlertgroupLabel --files=test.yml
echo "both pass a test of the alert DiskFul, which is in no rule"
