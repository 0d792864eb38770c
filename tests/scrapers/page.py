"""The exporter's page: fetched, decompressed, parsed, and compared with what a program made of it."""

import gzip
import math
import re
import subprocess
import urllib.request

from packages import Failed

SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(r'\\([\\"n])')
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
TEXT = "text/plain;version=0.0.4"
# A series that a program stores itself.
OF_THE_SCRAPER = re.compile(r"(up|scrape_\w+)(\{|$)")

Samples = dict[str, float]


def fetch(url: str, accept: str = TEXT, encoding: str = "identity") -> bytes:
    """The body of a scrape as it is sent."""
    request = urllib.request.Request(url, headers={"Accept": accept, "Accept-Encoding": encoding})
    with urllib.request.urlopen(request, timeout=180) as answer:
        sent = answer.headers.get("Content-Encoding", "identity")
        if sent != encoding:
            raise Failed(f"asked for {encoding}, the exporter sends {sent}")
        return answer.read()


def plain(body: bytes, encoding: str) -> str:
    """A body decompressed, which must be one gzip member or one zstd frame."""
    if encoding == "gzip":
        body = gzip.decompress(body)
    elif encoding == "zstd":
        body = subprocess.run(["zstd", "--decompress", "--stdout"], input=body, capture_output=True, check=True).stdout
    return body.decode()


def series(name: str, labels: dict[str, str]) -> str:
    """A series written in one way. An empty label is none."""
    return name + "{" + ",".join(f"{key}={labels[key]!r}" for key in sorted(labels) if labels[key]) + "}"


def parse(text: str, without: tuple[str, ...] = ()) -> Samples:
    """The samples of a page in either format, less some labels. Fails on a line that is no sample and on a repeated series."""
    samples: Samples = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        found = SAMPLE.match(line)
        if not found:
            raise Failed(f"no sample: {line!r}")
        name, labels, value = found.groups()
        pairs = {key: unescape(text) for key, text in LABEL.findall(labels or "") if key not in without}
        # OpenMetrics and Prometheus 3 write `1.0` where the text format has `1`.
        if "le" in pairs:
            pairs["le"] = str(float(pairs["le"]))
        key = series(name, pairs)
        if key in samples:
            raise Failed(f"twice: {key}")
        samples[key] = float(value)
    return samples


def unescape(text: str) -> str:
    return ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], text) if "\\" in text else text


def compare(before: Samples, after: Samples, got: Samples, tolerance: float = 0.0):
    """Fails unless a program has each series of two scrapes, no other, and the value of each on which the scrapes agree.

    Those on which they disagree are counters and clocks. The exporter's own gauges may agree by chance.
    """
    wanted = before.keys() & after.keys()
    steady = [key for key in wanted if before[key] == after[key] and not key.startswith(("process_", "swr_exporter_"))]
    missing = [key for key in wanted if key not in got]
    surplus = [key for key in got if key not in before and key not in after and not OF_THE_SCRAPER.match(key)]
    wrong = [key for key in steady if key in got and not math.isclose(before[key], got[key], rel_tol=tolerance)]
    if len(steady) < 0.9 * len(before):
        raise Failed(f"the page does not stand still: {len(steady)} of {len(before)} samples")
    if missing or surplus or wrong:
        examples = [*missing[:3], *surplus[:3], *(f"{key}: {before[key]} became {got[key]}" for key in wrong[:3])]
        counts = f"{len(missing)} series are missing, {len(surplus)} are not on the page, {len(wrong)} values differ"
        raise Failed("\n  ".join([counts, *examples]))
