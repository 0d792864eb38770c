"""Alertmanager: the configuration beside compose, and that its inhibitions hold back what they should and nothing else."""

import json
import re
from pathlib import Path

from packages import Failed, run
from row import Bench, Row
from servers import Server, wait_for

PACKAGES = {"0.25.0": "0.25.0-1+b4", "0.28.1": "0.28.1+ds-1", "0.33.1": "0.33.1-5"}
ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "deploy/compose/alertmanager.yml"

STALE = {"alertname": "SwrDataStale", "severity": "warning", "job": "swr", "account": "a"}
ALERTS = [
    STALE,
    {"alertname": "SwrNamespaceDataStale", "severity": "warning", "job": "swr", "account": "a", "namespace": "team"},
    {"alertname": "SwrNamespaceDataStale", "severity": "warning", "job": "swr", "account": "b", "namespace": "team"},
    {"alertname": "SwrRepositoryGrowsFast", "severity": "warning", "job": "swr", "account": "b", "namespace": "team", "repository": "x"},
    {"alertname": "SwrRepositoryGrowsSteadily", "severity": "warning", "job": "swr", "account": "b", "namespace": "team", "repository": "x"},
    {"alertname": "SwrRepositoryGrowsSteadily", "severity": "warning", "job": "swr", "account": "b", "namespace": "team", "repository": "y"},
]
HELD_BACK = [ALERTS[1], ALERTS[4]]


def routes(version: str):
    """A check that both configurations are accepted and that alerts of one account hold back none of another."""

    def check(bench: Bench):
        programs = bench.packages.debian("prometheus-alertmanager", PACKAGES[version])
        document = (ROOT / "docs/alerts.md").read_text()
        example = bench.new_folder() / "example.yml"
        example.write_text(re.search(r"```yaml\n(route:\n.*?)```", document, re.DOTALL)[1])
        run([programs / "amtool", "check-config", CONFIGURATION, example])

        def arguments(folder: Path, address: str) -> list[str]:
            storage = f"--storage.path={folder}/data"
            return [f"--config.file={CONFIGURATION}", storage, f"--web.listen-address={address}", "--cluster.listen-address="]

        with Server(programs / "prometheus-alertmanager", arguments, "/-/ready") as server:
            body = json.dumps([{"labels": labels} for labels in ALERTS]).encode()
            if (status := server.send("POST", "/api/v2/alerts", body, {"Content-Type": "application/json"})) != 200:
                raise Failed(f"alerts are answered with {status}")

            def suppressed() -> list[dict] | None:
                alerts = server.json("/api/v2/alerts")
                known = len(alerts) == len(ALERTS) and all(alert["status"]["state"] != "unprocessed" for alert in alerts)
                return [alert["labels"] for alert in alerts if alert["status"]["state"] == "suppressed"] if known else None

            wait_for(lambda: sorted_labels(suppressed() or []) == sorted_labels(HELD_BACK), f"{HELD_BACK} alone to be suppressed")

    return check


def sorted_labels(alerts: list[dict]) -> list[list[tuple[str, str]]]:
    return sorted(sorted(labels.items()) for labels in alerts)


def rows() -> list[Row]:
    tried = "routes and inhibitions of compose and of [alerts](alerts.md#routing)"
    result = "accepted; an account's alerts inhibit only its own"
    return [Row("Alertmanager", version, tried, result, "nothing", routes(version)) for version in PACKAGES]
