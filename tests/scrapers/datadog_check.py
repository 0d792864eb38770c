"""Runs Datadog's OpenMetrics check once without an agent: URL and limit. Prints the numbers of samples and of warnings."""

import sys

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.base.stubs import aggregator

url, *limit = sys.argv[1:]
instance = {"openmetrics_endpoint": url, "namespace": "swr", "metrics": [".+"]}
if limit:
    instance["max_returned_metrics"] = int(limit[0])
check = OpenMetricsBaseCheckV2("swr", {}, [instance])
if error := check.run():
    sys.exit(str(error))
print(sum(len(aggregator.metrics(name)) for name in aggregator.metric_names), len(check.get_warnings()))
