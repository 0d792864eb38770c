"""Several accounts: a configuration file for simulated ones, and an exporter that serves it."""

from contextlib import contextmanager
from pathlib import Path

from row import ACCESS_KEY, SECRET_KEY, Bench
from servers import Exporter


def configuration(folder: Path, upstreams: dict[str, str]) -> Path:
    """A file of accounts by name, each at the URL of a simulator."""
    text = f"defaults:\n  credentials: {{ access_key: {ACCESS_KEY}, secret_key: {SECRET_KEY} }}\naccounts:\n"
    text += "".join(f"  {name}: {{ endpoint: '{url}' }}\n" for name, url in upstreams.items())
    (file := folder / "accounts.yml").write_text(text)
    return file


def simulator(bench: Bench, repositories: int) -> Exporter:
    """The simulated API alone."""
    arguments = ["simulate", "--listen-address", "127.0.0.1:0", "--repositories", str(repositories), "--steady"]
    return Exporter(bench.exporter, arguments, bench.folder)


@contextmanager
def two_accounts(bench: Bench):
    """An exporter with the accounts `one` and `two`."""
    with simulator(bench, 200) as one, simulator(bench, 300) as two:
        file = configuration(bench.new_folder(), {"one": one.url, "two": two.url})
        arguments = ["--config.file", str(file), "--web.listen-address", "127.0.0.1:0"]
        with Exporter(bench.exporter, arguments, bench.folder) as exporter:
            yield exporter
