"""VictoriaMetrics: vmagent and the database behind it, vmalert, and its tool for tests of rules."""

import re
from contextlib import contextmanager
from pathlib import Path

from bench import Bench
from packages import Failed, run
from page import compare, parse
from row import SIZES, Row, sizes
from rules import RULE_FILES, RULES, evaluated_often, failing_rule, group_order, split_groups
from servers import Server, wait_for

PACKAGES = {"1.79.5": "1.79.5+ds1-2+b5", "1.112.0": "1.112.0+ds1-2", "1.145.0": "1.145.0+ds1-2"}
# The database keeps some 15 digits of a number.
TOLERANCE = 1e-14
BY_JOB, BY_FLAG = "max_scrape_size: 128MiB", "-promscrape.maxScrapeSize=128MiB"


def program(bench: Bench, name: str, version: str) -> Path:
    return bench.packages.debian("victoria-metrics", PACKAGES[version]) / name


def database(bench: Bench, version: str) -> Server:
    def arguments(folder: Path, address: str) -> list[str]:
        storage = [f"-storageDataPath={folder}/data", "-retentionPeriod=10y", "-search.latencyOffset=0s"]
        limits = ["-search.maxSeries=2000000", "-search.maxUniqueTimeseries=2000000", "-search.maxQueryDuration=5m"]
        return [f"-httpListenAddr={address}", *storage, *limits]

    return Server(program(bench, "victoria-metrics", version), arguments, "/health")


@contextmanager
def agent(bench: Bench, version: str, job: str, flags: list[str]):
    """The database into which a vmagent with this job writes, and the vmagent."""
    with database(bench, version) as store:

        def arguments(folder: Path, address: str) -> list[str]:
            (folder / "scrape.yml").write_text(f"global: {{ scrape_interval: 15s }}\nscrape_configs:\n{job}")
            return [
                f"-httpListenAddr={address}",
                f"-promscrape.config={folder}/scrape.yml",
                f"-remoteWrite.url={store.url}/api/v1/write",
                f"-remoteWrite.tmpDataPath={folder}/buffer",
                *flags,
            ]

        with Server(program(bench, "vmagent", version), arguments, "/health") as running:
            yield store, running


def job(bench: Bench, repositories: int, settings: str = "") -> str:
    return f"  - {{ job_name: swr, static_configs: [{{ targets: ['{bench.exporter(repositories).address}'] }}]{settings} }}\n"


def scrapes(version: str, numbers: list[int], settings: str = "", flags: tuple[str, ...] = ()):
    """A check that the database has the pages whole."""

    def check(bench: Bench):
        for number in numbers:
            before = bench.page(number)
            with agent(bench, version, job(bench, number, settings), list(flags)) as (store, _):
                wait_for(lambda: store.value('up{job="swr"}') == 1, f"a whole scrape of {number} repositories")
                for name in ["size_bytes", "images", "downloads", "created_timestamp_seconds", "updated_timestamp_seconds", "info"]:
                    whole = f'count(swr_repository_{name}{{job="swr"}}) >= {number}'
                    wait_for(lambda: store.value(whole), f"{name} of {number} repositories in the database")
                stored = store.get("/federate", **{"match[]": '{job="swr"}'}).decode()
            compare(before, bench.page(number), parse(stored, without=("job", "instance")), TOLERANCE)

    return check


def refuses(version: str, stores_a_part: bool = False):
    """A check that vmagent refuses the page of 100,000 repositories as long as nothing is set."""

    def check(bench: Bench):
        with agent(bench, version, job(bench, 100_000), []) as (store, running):
            wait_for(lambda: store.value('up{job="swr"}') == 0, "a failed scrape")
            if stores_a_part:
                wait_for(lambda: store.value('count({job="swr", __name__=~"swr_.+"})'), "a part of the page")
            elif series := store.value('count({job="swr", __name__=~"swr_.+"})'):
                raise Failed(f"{series:.0f} series are stored")
            if not stores_a_part and "maxScrapeSize" not in running.log_file.read_text():
                raise Failed(f"no word about the limit:\n{running.log()}")

    return check


def discovers(version: str):
    """A check that vmagent scrapes each account that `/sd` names."""

    def check(bench: Bench):
        with bench.two_accounts() as exporter:
            text = f"""  - job_name: swr
    http_sd_configs: [{{ url: '{exporter.url}/sd' }}]
    relabel_configs: [{{ source_labels: [__meta_swr_account], target_label: account }}]
"""
            with agent(bench, version, text, []) as (store, _):
                for account in ["one", "two"]:
                    query = f'swr_up{{account="{account}"}}'
                    wait_for(lambda: store.value(query) == 1, f"account {account} by service discovery")

    return check


def loads_rules(version: str):
    """A check that vmalert accepts the rules."""

    def check(bench: Bench):
        files = [f"-rule={RULES / name}" for name in RULE_FILES]
        run([program(bench, "vmalert", version), "-dryRun", *files])

    return check


def evaluates_rules(version: str):
    """A check that vmalert evaluates every rule without an error."""

    def check(bench: Bench):
        files = evaluated_often(bench.new_folder())
        with agent(bench, version, job(bench, 200), []) as (store, _):
            wait_for(lambda: store.value('swr_up{job="swr"}') == 1, "a scrape")

            def arguments(_: Path, address: str) -> list[str]:
                urls = [f"-{name}.url={store.url}" for name in ["datasource", "remoteWrite", "remoteRead"]]
                rules = [f"-rule={file}" for file in files]
                return [f"-httpListenAddr={address}", "-evaluationInterval=10s", "-notifier.blackhole", *urls, *rules]

            with Server(program(bench, "vmalert", version), arguments, "/health") as running:
                if failing := failing_rule(running):
                    raise Failed(failing)
                recorded = "swr:threshold:repository_growth_bytes"
                wait_for(lambda: store.value(f"count({recorded})"), f"{recorded} in the database")

    return check


def tests_rules(version: str):
    """A check that the tests of the rules pass once they are written as vmalert-tool wants them."""

    def check(bench: Bench):
        folder = bench.new_folder()
        for name in RULE_FILES:
            (folder / name).write_text(split_groups((RULES / name).read_text()))
        order = ", ".join(group_order(folder / name for name in RULE_FILES))
        for test in sorted(RULES.glob("*_test.yml")):
            text = test.read_text().replace("promql_expr_test:", "metricsql_expr_test:")
            (folder / test.name).write_text(re.sub(r"(?m)^group_eval_order: .*", f"group_eval_order: [{order}]", text))
            tool = [program(bench, "vmalert-tool", version), "unittest", "--disableAlertgroupLabel"]
            run([*tool, f"--files={folder / test.name}"], cwd=folder)

    return check


def rows() -> list[Row]:
    small, relabeling = SIZES[:2], "[relabeling](configuration.md#several-accounts)"
    found = []
    for version in ["1.112.0", "1.145.0"]:
        large = scrapes(version, [100_000], f", {BY_JOB}")
        found += [
            Row("vmagent", version, f"text, gzip: {sizes(small)}", scrapes(version, small)),
            Row("vmagent", version, f"text, gzip: {sizes([100_000])}", large, to_set=f"`{BY_JOB}` in the job"),
            Row("vmagent", version, "the same with nothing set", refuses(version), "`up` is 0, nothing is stored", "see above"),
        ]
    found.append(Row("vmagent", "1.145.0", "two accounts from `/sd`", discovers("1.145.0"), "both are scraped", relabeling))
    large, part = scrapes("1.79.5", [100_000], "", (BY_FLAG,)), refuses("1.79.5", stores_a_part=True)
    found += [
        Row("vmagent", "1.79.5", f"text, gzip: {sizes(small)}", scrapes("1.79.5", small)),
        Row("vmagent", "1.79.5", f"text, gzip: {sizes([100_000])}", large, to_set=f"`{BY_FLAG}`"),
        Row("vmagent", "1.79.5", "the same with nothing set", part, "`up` is 0, a part is stored", "see above"),
    ]
    found += [Row("vmalert", version, "rules", loads_rules(version), "accepted") for version in ["1.79.5", "1.112.0"]]
    labels, form = "[no external label](alerting.md#victoriametrics)", "[another form](alerting.md#victoriametrics)"
    found += [
        Row("vmalert", "1.145.0", "rules", evaluates_rules("1.145.0"), "each is evaluated without an error", labels),
        Row("vmalert-tool", "1.145.0", "rules and their tests", tests_rules("1.145.0"), "all pass", form),
    ]
    return found
