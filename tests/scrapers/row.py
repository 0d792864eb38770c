"""The rows of the table in docs/compatibility.md, and what each is tried with."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packages import Failed, Packages
from page import OF_A_REPOSITORY, Samples, fetch, parse
from servers import Exporter, wait_for

SIZES = [200, 10_000, 100_000]
ACCESS_KEY, SECRET_KEY = "SWRDEMOACCESSKEY0001", "demoSecretKeyNotARealSecret000000000000"


@dataclass
class Row:
    """A line of the table and the check that proves it, which fails with `Failed` or any other exception."""

    program: str
    version: str
    tried: str
    result: str
    to_set: str
    check: Callable[["Bench"], None]

    def __str__(self) -> str:
        return f"| {self.program} | {self.version} | {self.tried} | {self.result} | {self.to_set} |"


class Bench:
    """The exporter under test, its demos by number of repositories, and the packages."""

    def __init__(self, exporter: Path, folder: Path):
        self.exporter = exporter
        self.folder = folder
        self.packages = Packages(folder)
        self.demos: dict[int, Exporter] = {}
        self.pages: dict[int, Samples] = {}

    def demo(self, repositories: int) -> Exporter:
        """A demo whose repositories stand still for fifty minutes; all of them are on its page."""
        if repositories not in self.demos:
            arguments = ["demo", "--repositories", str(repositories), "--cache.window", "50m"]
            demo = Exporter(self.exporter, arguments, self.folder)
            self.demos[repositories] = demo
            wait_for(lambda: b"\nswr_repositories " in fetch(f"{demo.url}/metrics"), f"a page of {repositories} repositories")
        return self.demos[repositories]

    def page(self, repositories: int) -> Samples:
        """The samples of a demo's page now."""
        text = fetch(f"{self.demo(repositories).url}/metrics").decode()
        # Those of repositories stand still, so they are parsed once.
        others = parse("".join(line for line in text.splitlines(keepends=True) if not line.startswith(OF_A_REPOSITORY)))
        if repositories not in self.pages:
            self.pages[repositories] = parse(text)
        first, clock = self.pages[repositories], "swr_snapshot_timestamp_seconds{}"
        if others[clock] != first[clock]:
            raise Failed("the demo has been read again: this takes longer than its cache window")
        return {**first, **others}

    def new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))

    def close(self):
        for demo in self.demos.values():
            demo.close()


def sizes(numbers: list[int] = SIZES) -> str:
    """`200, 10,000 and 100,000 repositories`."""
    texts = [f"{number:,}" for number in numbers]
    return (f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 else texts[0]) + " repositories"
