"""Prometheus: pages in both formats, service discovery, and rules."""

from pathlib import Path

from bench import Bench
from packages import Failed, run
from page import compare, fetch, parse
from row import SIZES, Row, sizes
from rules import RULE_FILES, RULES, evaluated_often, failing_rule
from servers import Server, wait_for

# The packages that hold the server, by version, and those that hold promtool.
SERVERS = {"2.42.0": "2.42.0+ds-5+deb12u1", "2.53.3": "2.53.3+ds1-2", "3.5.3": "3.5.3+ds1-6"}
PROMTOOL = {"2.42.0": "prometheus", "2.53.3": "promtool", "3.5.3": "promtool"}


def start(bench: Bench, version: str, jobs: str, flags: list[str] | None = None, rules: list[Path] | None = None) -> Server:
    """A server with these scrape configurations, as YAML."""

    def arguments(folder: Path, address: str) -> list[str]:
        paths = "".join(f"  - {path}\n" for path in rules or [])
        text = f"global: {{ scrape_interval: 15s, evaluation_interval: 15s }}\nrule_files:\n{paths}scrape_configs:\n{jobs}"
        (folder / "prometheus.yml").write_text(text)
        return [
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={address}",
            *(flags or []),
        ]

    return Server(bench.packages.debian("prometheus", SERVERS[version]) / "prometheus", arguments, "/-/ready")


def promtool(bench: Bench, version: str) -> Path:
    return bench.packages.debian(PROMTOOL[version], SERVERS[version]) / "promtool"


def scrapes(version: str, more: str = "", numbers: list[int] = SIZES, flags: list[str] | None = None):
    """A check that the server stores the pages whole."""

    def check(bench: Bench):
        for number in numbers:
            target, before = bench.exporter(number).address, bench.page(number)
            job = f"  - {{ job_name: swr, static_configs: [{{ targets: ['{target}'] }}]{more} }}\n"
            with start(bench, version, job, flags) as server:
                wait_for(lambda: server.value('up{job="swr"}') == 1, f"a whole scrape of {number} repositories")
                stored = server.get("/federate", **{"match[]": '{job="swr"}'}).decode()
            compare(before, bench.page(number), parse(stored, without=("job", "instance")))

    return check


def discovers(version: str):
    """A check that the server scrapes each account that `/sd` names."""

    def check(bench: Bench):
        with bench.two_accounts() as exporter:
            job = f"""  - job_name: swr
    http_sd_configs: [{{ url: '{exporter.url}/sd' }}]
    relabel_configs: [{{ source_labels: [__meta_swr_account], target_label: account }}]
"""
            with start(bench, version, job) as server:
                for account in ["one", "two"]:
                    query = f'swr_up{{account="{account}"}}'
                    wait_for(lambda: server.value(query) == 1, f"account {account} by service discovery")

    return check


def tests_rules(version: str):
    """A check that promtool accepts the rules, and that their tests pass."""

    def check(bench: Bench):
        tool = promtool(bench, version)
        run([tool, "check", "rules", *RULE_FILES], cwd=RULES)
        # All at once: each start reads the rules anew.
        run([tool, "test", "rules", *sorted(file.name for file in RULES.glob("*_test.yml"))], cwd=RULES)

    return check


def evaluates_rules(version: str):
    """A check that the server evaluates every rule without an error."""

    def check(bench: Bench):
        job = f"  - {{ job_name: swr, static_configs: [{{ targets: ['{bench.exporter(200).address}'] }}] }}\n"
        with start(bench, version, job, rules=evaluated_often(bench.new_folder())) as server:
            wait_for(lambda: server.value('up{job="swr"}') == 1, "a scrape")
            if failing := failing_rule(server):
                raise Failed(failing)

    return check


def lints(version: str):
    """A check that promtool has nothing to say about a page."""

    def check(bench: Bench):
        page = bench.new_folder() / "page"
        page.write_bytes(fetch(f"{bench.exporter(200).url}/metrics"))
        with open(page) as text:
            if said := run([promtool(bench, version), "check", "metrics"], stdin=text):
                raise Failed(said)

    return check


def rows() -> list[Row]:
    text_only, native = ", scrape_protocols: [PrometheusText0.0.4]", ["--enable-feature=native-histograms"]
    relabeling = "[relabeling](configuration.md#several-accounts)"
    found = []
    for version in SERVERS:
        found.append(Row("Prometheus", version, f"OpenMetrics, gzip: {sizes(SIZES)}", scrapes(version)))
        # 2.42 has no setting for the format.
        if version != "2.42.0":
            text = SIZES if version == "3.5.3" else SIZES[:2]
            found += [
                Row("Prometheus", version, f"text, gzip: {sizes(text)}", scrapes(version, text_only, text)),
                Row("Prometheus", version, f"feature `native-histograms`: {sizes([200])}", scrapes(version, "", [200], native)),
            ]
        found += [
            Row("Prometheus", version, "two accounts from `/sd`", discovers(version), "both are scraped", relabeling),
            Row("Prometheus", version, "rules", evaluates_rules(version), "each is evaluated without an error"),
            Row("promtool", version, "rules and their tests", tests_rules(version), "accepted, and all pass"),
            Row("promtool", version, "`check metrics` on a page", lints(version), "no remark"),
        ]
    return found
