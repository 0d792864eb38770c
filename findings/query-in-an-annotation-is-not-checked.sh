#!/usr/bin/env bash
# A broken query inside an annotation passes every check of rules, and shows when the alert fires.
#
# Expected: `promtool check rules` and `vmalert -dryRun` parse all PromQL of a rule file. Both do expand the templates of
# annotations to find mistakes in them.
# Found: the text after `query` in a template is not parsed, since the check runs it against nothing. Both accept `query "sum("`.
# The alert fires, and its annotation holds an error text in the place of the description.
# Concerns: whoever puts thresholds or other series into the texts of alerts. Only a test that compares the annotation notices.
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
vmalert=$folder/victoria-metrics-1.145.0+ds1-2/usr/bin/vmalert
"$promtool" --version | head -n 1
echo "vmalert of Debian's victoria-metrics 1.145.0"

cat >rules.yml <<'EOF'
groups:
  - name: g
    rules:
      - alert: DiskFull
        expr: used > 90
        annotations: { description: 'more than {{ with query "sum(" }}{{ . | first | value }}{{ end }}' }
EOF
cat >test.yml <<'EOF'
rule_files: [rules.yml]
tests:
  - interval: 1m
    input_series: [{ series: used, values: '99x9' }]
    alert_rule_test:
      - { eval_time: 5m, alertname: DiskFull, exp_alerts: [{ exp_annotations: { description: more than 90 } }] }
EOF
"$promtool" check rules rules.yml
"$vmalert" -dryRun -rule=rules.yml -loggerLevel=ERROR
echo "both accept the file"
if "$promtool" test rules test.yml >said 2>&1; then echo "the test passes" >&2; exit 1; fi
grep -o '<error expanding template: .*' said
