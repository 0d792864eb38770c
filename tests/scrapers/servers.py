"""Starts programs as processes on free ports of the loopback address, and asks them over HTTP."""

import json
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from packages import Failed

# The longest wait for a state. A busy machine needs far more than an idle one.
PATIENCE = 180


class Server:
    """A running program with a folder of its own. Both go when it is closed."""

    def __init__(self, program: Path, flags, ready: str):
        """`flags` makes the flags from the folder and a free address; `ready` is the path that answers 200 once it runs."""
        self.folder = Path(tempfile.mkdtemp())
        self.name = Path(program).name
        # The port may be taken between here and the program's bind.
        for _ in range(3):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.address = f"127.0.0.1:{free.getsockname()[1]}"
            self.url = f"http://{self.address}"
            self.log_file = self.folder / "log"
            with open(self.log_file, "wb") as log:
                self.process = subprocess.Popen(
                    [str(word) for word in [program, *flags(self.folder, self.address)]],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                )
            if self._becomes_ready(ready):
                return
        raise Failed(f"{self.name} does not start:\n{self.log()}")

    def _becomes_ready(self, path: str) -> bool:
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            try:
                with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                    answer.read()
                return True
            except OSError:
                time.sleep(0.1)
        if self.process.poll() is None:
            self.close()
            raise Failed(f"{self.name} does not become ready:\n{self.log()}")
        return False

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")[-4000:]

    def get(self, path: str, **query) -> bytes:
        """The body of an answer. Fails with the body of one that is no success."""
        if query:
            path += "?" + urllib.parse.urlencode(query, doseq=True)
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise Failed(f"{self.name} answers {path} with {error.code}: {error.read()[:2000].decode(errors='replace')}")

    def json(self, path: str, **query):
        return json.loads(self.get(path, **query))

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
        """The status of an answer."""
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def value(self, query: str) -> float | None:
        """The value of a query that has one series, from Prometheus or VictoriaMetrics; None if it has none."""
        result = self.json("/api/v1/query", query=query)["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Exporter:
    """`swr-exporter demo`, `serve` or `simulate`, on an address that it chooses itself."""

    def __init__(self, program: Path, arguments: list[str], folder: Path, env: dict[str, str] | None = None):
        self.log_file = folder / f"exporter-{time.monotonic_ns()}.log"
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(
                [str(program), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env
            )
        # The demo says its address in a sentence, the server in its log, the simulator at the end of a line.
        pattern = r"http://(127\.0\.0\.1:\d+)/metrics|msg=listening .*address=(\S+)|API is at http://(\S+?)\.?\n"
        self.address = wait_for(lambda: self._found(pattern), "the address of the exporter")
        self.url = f"http://{self.address}"

    def _found(self, pattern: str) -> str | None:
        text = self.log_file.read_text()
        if self.process.poll() is not None:
            raise Failed(f"the exporter ends:\n{text}")
        found = re.search(pattern, text)
        return next(filter(None, found.groups())) if found else None

    def close(self):
        self.process.terminate()
        self.process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def wait_for(probe, what: str, patience: float = PATIENCE):
    """The first result of `probe` that is not None or False."""
    end = time.monotonic() + patience
    while True:
        result = probe()
        if result is not None and result is not False:
            return result
        if time.monotonic() > end:
            raise Failed(f"waited {patience:.0f} s in vain for {what}")
        time.sleep(0.3)
