"""What takes a page over: node_exporter's textfile collector and the Pushgateway. Both parse with Prometheus' library."""

from pathlib import Path

from bench import Bench
from packages import Failed, run
from page import compare, fetch, parse, plain
from row import SIZES, Row, sizes
from servers import Server

NODE_EXPORTER = {"1.5.0": "1.5.0-1+b6", "1.9.0": "1.9.0-1+b4", "1.11.1": "1.11.1-3"}
PUSHGATEWAY = {"1.5.1": "1.5.1-2+b5", "1.11.2": "1.11.2-1"}


def node_exporter(bench: Bench, version: str, textfiles: Path) -> Server:
    def arguments(_: Path, address: str) -> list[str]:
        collector = ["--collector.textfile", f"--collector.textfile.directory={textfiles}"]
        return [f"--web.listen-address={address}", "--collector.disable-defaults", *collector]

    program = bench.packages.debian("prometheus-node-exporter", NODE_EXPORTER[version]) / "prometheus-node-exporter"
    return Server(program, arguments, "/metrics")


def served(server: Server) -> dict[str, float]:
    """What node_exporter serves from textfiles; fails if it reports an error."""
    lines = server.get("/metrics").decode().splitlines(keepends=True)
    samples = parse("".join(line for line in lines if line.startswith(("swr_", "node_textfile_scrape_error"))))
    if samples.pop("node_textfile_scrape_error{}") != 0 or "level=error" in server.log().lower():
        raise Failed(f"node_exporter reports an error:\n{server.log()}")
    return samples


def one_file(version: str, numbers: list[int]):
    """A check that the file of `scrape` is served whole."""

    def check(bench: Bench):
        for number in numbers:
            textfiles = bench.new_folder()
            file = textfiles / "swr.prom"
            with bench.simulator(number) as upstream:
                command = [bench.executable, "scrape", "--swr.endpoint", upstream.url, "--output", file]
                run(command, env=bench.environment())
            with node_exporter(bench, version, textfiles) as server:
                written = parse(file.read_text())
                compare(written, written, served(server))

    return check


def pushed(version: str, numbers: list[int], encoding: str):
    """A check that a page that is pushed is served whole."""

    def check(bench: Bench):
        program = bench.packages.debian("prometheus-pushgateway", PUSHGATEWAY[version]) / "prometheus-pushgateway"
        for number in numbers:
            body = fetch(f"{bench.exporter(number).url}/metrics", encoding=encoding)
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
    file = f"`scrape --output`: {sizes(small)}"
    return [
        *(Row("node_exporter, textfile", version, file, one_file(version, small)) for version in NODE_EXPORTER),
        Row("Pushgateway", "1.5.1", f"text, gzip: {sizes(small)}", pushed("1.5.1", small, "gzip")),
        Row("Pushgateway", "1.11.2", f"text, gzip: {sizes(SIZES)}", pushed("1.11.2", SIZES, "gzip")),
        Row("Pushgateway", "1.11.2", f"text, plain: {sizes(small)}", pushed("1.11.2", small, "identity")),
    ]
