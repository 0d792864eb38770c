"""Alertmanager: the configuration beside compose, and that its inhibitions hold back what they should and nothing else."""

import json
import re
from pathlib import Path

from bench import Bench
from packages import Failed, run
from row import Row
from servers import Server, wait_for

PACKAGES = {"0.25.0": "0.25.0-1+b4", "0.28.1": "0.28.1+ds-1", "0.33.1": "0.33.1-5"}
ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "deploy/compose/alertmanager.yml"



def alert(name: str, account: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": "warning", "job": "swr", "account": account, **labels}


ALERTS = [
    alert("SwrDataStale", "a"),
    alert("SwrNamespaceDataStale", "a", namespace="team"),
    alert("SwrNamespaceDataStale", "b", namespace="team"),
    alert("SwrRepositoryGrowsFast", "b", namespace="team", repository="x"),
    alert("SwrRepositoryGrowsSteadily", "b", namespace="team", repository="x"),
    alert("SwrRepositoryGrowsSteadily", "b", namespace="team", repository="y"),
]
HELD_BACK = [ALERTS[1], ALERTS[4]]


def routes(version: str):
    """A check that both configurations are accepted and that alerts of one account hold back none of another."""

    def check(bench: Bench):
        programs = bench.packages.debian("prometheus-alertmanager", PACKAGES[version])
        document = (ROOT / "docs/alerting.md").read_text()
        example = bench.new_folder() / "example.yml"
        example.write_text(re.search(r"```yaml\n(route:\n.*?)```", document, re.DOTALL)[1])
        run([programs / "amtool", "check-config", CONFIGURATION, example])

        def arguments(folder: Path, address: str) -> list[str]:
            addresses = [f"--web.listen-address={address}", "--cluster.listen-address="]
            return [f"--config.file={CONFIGURATION}", f"--storage.path={folder}/data", *addresses]

        with Server(programs / "prometheus-alertmanager", arguments, "/-/ready") as server:
            body = json.dumps([{"labels": labels} for labels in ALERTS]).encode()
            if (status := server.send("POST", "/api/v2/alerts", body, {"Content-Type": "application/json"})) != 200:
                raise Failed(f"alerts are answered with {status}")

            def states() -> dict[str, list[dict]]:
                found = {"active": [], "suppressed": [], "unprocessed": []}
                for known in server.json("/api/v2/alerts"):
                    found[known["status"]["state"]].append(known["labels"])
                return found

            def settled() -> bool:
                found = states()
                others = [labels for labels in ALERTS if labels not in HELD_BACK]
                return same(found["suppressed"], HELD_BACK) and same(found["active"], others)

            wait_for(settled, f"{HELD_BACK} alone to be suppressed")

    return check


def same(some: list[dict], others: list[dict]) -> bool:
    return len(some) == len(others) and all(labels in others for labels in some)


def rows() -> list[Row]:
    tried = "routes and inhibitions of compose and of [alerting](alerting.md#routing)"
    result = "accepted, and an account inhibits only its own alerts"
    return [Row("Alertmanager", version, tried, routes(version), result) for version in PACKAGES]
