"""What takes a page over: node_exporter's textfile collector and the Pushgateway. Both parse with Prometheus' own library."""

import os
from pathlib import Path

from accounts import configuration, simulator
from packages import Failed, run
from page import compare, fetch, parse, plain
from row import ACCESS_KEY, SECRET_KEY, SIZES, Bench, Row, sizes
from servers import Server

NODE_EXPORTER = {"1.5.0": "1.5.0-1+b6", "1.9.0": "1.9.0-1+b4", "1.11.1": "1.11.1-3"}
PUSHGATEWAY = {"1.5.1": "1.5.1-2+b5", "1.11.2": "1.11.2-1"}


def node_exporter(bench: Bench, version: str, textfiles: Path) -> Server:
    def arguments(_: Path, address: str) -> list[str]:
        collector = ["--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={textfiles}"]
        return [f"--web.listen-address={address}", *collector]

    program = bench.packages.debian("prometheus-node-exporter", NODE_EXPORTER[version]) / "prometheus-node-exporter"
    return Server(program, arguments, "/metrics")


def served(server: Server) -> dict[str, float]:
    """What node_exporter serves from textfiles; fails if it reports an error."""
    text = server.get("/metrics").decode()
    samples = parse("".join(line + "\n" for line in text.splitlines() if line.startswith(("swr_", "node_textfile_scrape_error"))))
    if samples.pop("node_textfile_scrape_error{}") != 0 or "level=error" in (log := server.log()) or "level=ERROR" in log:
        raise Failed(f"node_exporter reports an error:\n{server.log()}")
    return samples


def one_file(version: str, numbers: list[int]):
    """A check that the file of `scrape` is served whole."""

    def check(bench: Bench):
        for number in numbers:
            textfiles = bench.new_folder()
            file = textfiles / "swr.prom"
            with simulator(bench, number) as upstream:
                env = {**os.environ, "SWR_EXPORTER_ACCESS_KEY": ACCESS_KEY, "SWR_EXPORTER_SECRET_KEY": SECRET_KEY}
                run([bench.exporter, "scrape", "--swr.endpoint", upstream.url, "--output", file], env=env)
            with node_exporter(bench, version, textfiles) as server:
                written = parse(file.read_text())
                compare(written, written, served(server))

    return check


def pushed(version: str, numbers: list[int], encoding: str):
    """A check that a page that is pushed is served whole."""

    def check(bench: Bench):
        program = bench.packages.debian("prometheus-pushgateway", PUSHGATEWAY[version]) / "prometheus-pushgateway"
        for number in numbers:
            body = fetch(f"{bench.demo(number).url}/metrics", encoding=encoding)
            wanted = parse(plain(body, encoding))
            with Server(program, lambda _, address: [f"--web.listen-address={address}"], "/-/ready") as server:
                headers = {} if encoding == "identity" else {"Content-Encoding": encoding}
                status = server.send("PUT", "/metrics/job/swr", body, {"Content-Type": "text/plain", **headers})
                if status != 200:
                    raise Failed(f"answered with {status}")
                text = server.get("/metrics").decode()
                own = tuple(f"{name}_" for name in ["go", "process", "push", "pushgateway", "http", "promhttp"])
                # The gateway's own process_* are those of the page too: a pushed one has the label job.
                lines = [line for line in text.splitlines() if 'job="swr"' in line or not line.startswith((*own, "#"))]
                pushed = parse("\n".join(lines), without=("job", "instance"))
            for name in ["push_time_seconds", "push_failure_time_seconds"]:
                pushed.pop(f"{name}{{}}", None)
            compare(wanted, wanted, pushed)

    return check


def rows() -> list[Row]:
    small = SIZES[:2]
    found = [
        Row("node_exporter, textfile", version, f"`scrape --output`: {sizes(small)}", "every series and value", "nothing", one_file(version, small))
        for version in NODE_EXPORTER
    ]
    found += [
        Row("Pushgateway", version, f"text, gzip: {sizes(numbers)}", "every series and value", "nothing", pushed(version, numbers, "gzip"))
        for version, numbers in {"1.5.1": small, "1.11.2": SIZES}.items()
    ]
    found.append(Row("Pushgateway", "1.11.2", f"text, plain: {sizes(small)}", "every series and value", "nothing", pushed("1.11.2", small, "identity")))
    return found
