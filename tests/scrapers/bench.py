"""The exporters under test: demos, accounts of simulated clouds, and the pages that they serve."""

import os
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from packages import Packages
from page import Samples, fetch, parse
from servers import Exporter, wait_for

ACCESS_KEY, SECRET_KEY = "SWRDEMOACCESSKEY0001", "demoSecretKeyNotARealSecret000000000000"
PACE = ["--swr.rate-limit", "1000"]
LISTEN = ["--web.listen-address", "127.0.0.1:0"]


# Repositories up to which an exporter is the demo.
DEMO = 1000


class Bench:
    """What a check has at hand: the executable, the packages, and exporters by number of repositories, kept running."""

    def __init__(self, executable: Path, folder: Path):
        self.executable = executable
        self.folder = folder
        self.packages = Packages(folder)
        self.running = ExitStack()
        self.exporters: dict[int, Exporter] = {}
        self.listings: dict[int, Samples] = {}

    def exporter(self, repositories: int) -> Exporter:
        """One that has read all its repositories and reads them again after 50 minutes.

        The demo has every collector. With more repositories tags would be read for hours, so there is the listing alone.
        """
        if repositories not in self.exporters:
            if repositories <= DEMO:
                demo = ["demo", "--repositories", str(repositories), "--cache.window", "50m"]
                exporter = self.start(*demo)
            else:
                upstream = self.running.enter_context(self.simulator(repositories))
                exporter = self.start("--swr.endpoint", upstream.url, "--cache.window", "50m", *PACE, *LISTEN)
            self.exporters[repositories] = self.running.enter_context(exporter)
            wait_for(lambda: b"\nswr_repositories " in fetch(f"{exporter.url}/metrics"), f"{repositories} repositories")
        return self.exporters[repositories]

    def page(self, repositories: int) -> Samples:
        """The samples of its page now."""
        text = fetch(f"{self.exporter(repositories).url}/metrics").decode()
        if repositories <= DEMO:
            return parse(text)
        # The listing stands still, so its hundreds of thousands of lines are parsed once.
        if repositories not in self.listings:
            self.listings[repositories] = parse(only(text, of_repositories=True))
        return {**self.listings[repositories], **parse(only(text, of_repositories=False))}

    def simulator(self, repositories: int) -> Exporter:
        """The simulated API alone."""
        return self.start("simulate", "--listen-address", "127.0.0.1:0", "--repositories", str(repositories), "--steady")

    @contextmanager
    def two_accounts(self):
        """An exporter with the accounts `one` and `two`."""
        with self.simulator(200) as one, self.simulator(300) as two:
            keys = f"{{ access_key: {ACCESS_KEY}, secret_key: {SECRET_KEY} }}"
            file = self.new_folder() / "accounts.yml"
            file.write_text(f"""defaults:
  credentials: {keys}
accounts:
  one: {{ endpoint: '{one.url}' }}
  two: {{ endpoint: '{two.url}' }}
""")
            with self.start("--config.file", str(file), *LISTEN) as exporter:
                yield exporter

    def start(self, *arguments: str) -> Exporter:
        return Exporter(self.executable, list(arguments), self.folder, self.environment())

    def environment(self) -> dict[str, str]:
        """Variables for the simulated API."""
        return {**os.environ, "SWR_EXPORTER_ACCESS_KEY": ACCESS_KEY, "SWR_EXPORTER_SECRET_KEY": SECRET_KEY}

    def new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))

    def close(self):
        self.running.close()


def only(text: str, of_repositories: bool) -> str:
    """The lines of a page that are samples of repositories, or all others."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("swr_repository_") == of_repositories)
