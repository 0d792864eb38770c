#!/usr/bin/env bash
# VictoriaMetrics has no series where Prometheus has one whose value is NaN.
#
# Expected: both engines speak the same language, so 0 divided by 0 gives one series with the value NaN in both, and
# count() finds it.
# Found: in VictoriaMetrics the series is gone. count() finds nothing, and absent() fires, though the division had both operands.
# Concerns: whoever guards a ratio with absent(), or exports NaN for "unknown", and moves rules from one to the other.
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

debian prometheus 2.42.0+ds-5+deb12u1 bookworm
debian victoria-metrics 1.145.0+ds1-2 forky
promtool=$folder/prometheus-2.42.0+ds-5+deb12u1/usr/bin/promtool
vmalert_tool=$folder/victoria-metrics-1.145.0+ds1-2/usr/bin/vmalert-tool
"$promtool" --version | head -n 1
echo "vmalert-tool of Debian's victoria-metrics 1.145.0"

cat >rules.yml <<'EOF'
groups: [{ name: g, rules: [{ record: unused, expr: vector(1) }] }]
EOF
# A test of two expressions: how many series errors/requests has, and whether it is absent.
write_test() { # key, samples of count, samples of absent
    cat >"$1.yml" <<EOF
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - { series: 'errors{job="a"}', values: '0x5' }
      - { series: 'requests{job="a"}', values: '0x5' }
    $1:
      - { expr: 'count(errors / requests)', eval_time: 3m, exp_samples: [$2] }
      - { expr: 'absent(errors / requests)', eval_time: 3m, exp_samples: [$3] }
EOF
}
write_test promql_expr_test "{ labels: '{}', value: 1 }" ""
write_test metricsql_expr_test "" "{ labels: '{}', value: 1 }"
"$promtool" test rules promql_expr_test.yml
echo "Prometheus: count is 1, absent has no series"
"$vmalert_tool" unittest --files=metricsql_expr_test.yml
echo "VictoriaMetrics: count has no series, absent is 1"
