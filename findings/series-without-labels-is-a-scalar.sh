#!/usr/bin/env bash
# In MetricsQL a series without labels compares with every series of the other side.
#
# Expected: `avg(size) > size` pairs series by their labels. The left side has none and the right side has some, so nothing
# matches, as in PromQL, where one has to write `> on () group_right` to get pairs.
# Found: VictoriaMetrics treats the left side as a number and answers with one series for each match. A comparison that is
# always empty in Prometheus fires there.
# Concerns: whoever carries rules from Prometheus to vmalert and takes "the tests pass" in one for proof in the other.
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
groups: [{ name: g, rules: [{ record: unused, expr: vector(1) }] }]
EOF
write_test() { # key, samples
    cat >"$1.yml" <<EOF
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - { series: 'size{repository="a"}', values: '10x5' }
      - { series: 'size{repository="b"}', values: '30x5' }
    $1:
      - { expr: 'avg(size) > size', eval_time: 3m, exp_samples: [$2] }
EOF
}
write_test promql_expr_test ""
write_test metricsql_expr_test "{ labels: 'size{repository=\"a\"}', value: 20 }"
"$promtool" test rules promql_expr_test.yml
echo "Prometheus: avg(size) > size has no series"
"$vmalert_tool" unittest --files=metricsql_expr_test.yml
echo "VictoriaMetrics: avg(size) > size is size{repository=\"a\"} 20"
