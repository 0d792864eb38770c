"""The rules of this repository, as rule engines other than Prometheus and other intervals need them."""

import re
from collections.abc import Iterable
from pathlib import Path

from servers import Server, wait_for

RULES = Path(__file__).parents[2] / "dashboards/rules"
RULE_FILES = ["thresholds.yml", "recording.yml", "alerts.yml"]


def evaluated_often(folder: Path) -> list[Path]:
    """Copies whose groups are evaluated every ten seconds, as nobody waits an hour for some of them."""
    for name in RULE_FILES:
        (folder / name).write_text(re.sub(r"(?m)^( +interval): .*", r"\1: 10s", (RULES / name).read_text()))
    return [folder / name for name in RULE_FILES]


def failing_rule(server: Server) -> str | None:
    """Waits until Prometheus or vmalert has evaluated every rule. Returns name and error of one that fails."""

    def rules() -> list[dict] | None:
        groups = server.json("/api/v1/rules")["data"]["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        # What was never evaluated has a time of the year 1.
        waiting = [rule for rule in found if rule.get("lastEvaluation", "0001-").startswith("0001-")]
        return found if found and not waiting else None

    failing = [rule for rule in wait_for(rules, "an evaluation of every rule") if rule["health"] != "ok"]
    return f"{failing[0]['name']}: {failing[0]['lastError']}" if failing else None


def split_groups(text: str) -> str:
    """Rules with each in a group of its own, which takes its interval along."""
    split, header, count = [], [], 0
    for line in text.splitlines(keepends=True):
        if line.startswith("  - name: "):
            header, count = [line], 0
        elif header and line.startswith("    ") and line[4] not in " #" and not line.startswith("    rules:"):
            header.append(line)
        elif line.startswith("    rules:"):
            header.append(line)
        elif line.startswith("      - "):
            count += 1
            split += [header[0].rstrip() + f"-{count}\n", *header[1:], line]
        else:
            split.append(line)
    return "".join(split)


def group_order(files: Iterable[Path]) -> list[str]:
    """The names of the groups in some files."""
    return [name for file in files for name in re.findall(r"(?m)^  - name: (\S+)$", file.read_text())]
