"""A real Prometheus (Debian's package), filled with series or scraping a server."""

import json
import random
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BASE = 1_700_000_000
"""Epoch second of the first sample; a multiple of ten."""

EXPRESSIONS = (
    "steady_total",
    "rate(steady_total[5m])",
    "rate(steady_total[47s])",
    "increase(steady_total[1h])",
    "rate(restarting_total[5m])",
    "increase(restarting_total[17m])",
    "increase(restarting_total[20s])",
    "rate(gappy_total[5m])",
    "increase(gappy_total[30m])",
    "gappy_total",
    "level",
    "avg_over_time(level[5m])",
    "sum by (route) (rate(parts_total[5m]))",
    "sum(rate(parts_total[5m]))",
    "histogram_quantile(0.5, sum by (le) (rate(took_seconds_bucket[5m])))",
    "histogram_quantile(0.95, sum by (le) (rate(took_seconds_bucket[5m])))",
    "histogram_quantile(0.99, sum by (le) (rate(took_seconds_bucket[10m])))",
    "histogram_quantile(1, sum by (le) (rate(took_seconds_bucket[5m])))",
)

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
RANGE = (BASE + 600, BASE + 6_900, 97)
"""First and last instant of the questions, and a step that meets no sample twice."""


def series(seed: int = 4) -> dict[str, list[tuple[int, float]]]:
    """Return name with labels → samples, of two hours at every ten seconds."""
    draw = random.Random(seed)
    made: dict[str, list[tuple[int, float]]] = {}
    times = [BASE + 10 * n for n in range(720)]
    total = 0.0
    made["steady_total"] = [(at, total := total + draw.randrange(9)) for at in times]
    total, row = 0.0, []
    for at in times:
        total = draw.randrange(5) if draw.random() < 0.02 else total + draw.random()
        row.append((at, total))
    made["restarting_total"] = row
    total, row, gone = 0.0, [], 0
    for at in times:
        gone = draw.randrange(70) if draw.random() < 0.03 else gone - 1
        total += draw.randrange(4)
        if gone <= 0:
            row.append((at, total))
    made["gappy_total"] = row
    made["level"] = [(at, draw.uniform(-5, 50)) for at in times]
    for route in ("a", "b"):
        for status in ("2xx", "5xx"):
            total = 0.0
            name = f'parts_total{{route="{route}",status="{status}"}}'
            made[name] = [(at, total := total + draw.randrange(6)) for at in times]
    counts = [0.0] * (len(BOUNDS) + 1)
    buckets: dict[str, list[tuple[int, float]]] = {}
    for at in times:
        for _ in range(draw.randrange(8)):
            took = draw.lognormvariate(-3.5, 1.2)
            for n, bound in enumerate((*BOUNDS, float("inf"))):
                counts[n] += took <= bound
        for n, bound in enumerate((*map(str, BOUNDS), "+Inf")):
            name = f'took_seconds_bucket{{le="{bound}"}}'
            buckets.setdefault(name, []).append((at, counts[n]))
    return made | buckets


@contextmanager
def filled(folder: Path, port: int) -> Iterator[str]:
    """Run a Prometheus that holds ``series``; yields its address."""
    lines = []
    for name, row in series().items():
        plain = name.partition("{")[0]
        kind = "counter" if plain.endswith("_total") else "untyped"
        family = plain.removesuffix("_total") if kind == "counter" else plain
        lines.append((family, kind, [f"{name} {value!r} {at}" for at, value in row]))
    text, last = [], ""
    for family, kind, rows in sorted(lines):
        if family != last:
            text.append(f"# TYPE {family} {'unknown' if kind != 'counter' else kind}")
            last = family
        text += rows
    source = folder / "series.txt"
    source.write_text("\n".join([*text, "# EOF", ""]))
    blocks = ["tsdb", "create-blocks-from", "openmetrics", str(source)]
    command = [needed("promtool"), *blocks, str(folder / "data")]
    subprocess.run(command, check=True, capture_output=True)
    config = folder / "prometheus.yml"
    config.write_text("global: {}\n")
    with running(folder, config, port) as url:
        yield url


@contextmanager
def running(folder: Path, config: Path, port: int) -> Iterator[str]:
    """Run a Prometheus until left; yields its address when it answers."""
    command = [
        needed("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    url = f"http://127.0.0.1:{port}"
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            for _ in range(150):
                try:
                    urllib.request.urlopen(f"{url}/-/ready", timeout=1).read()
                    break
                except (urllib.error.URLError, OSError):
                    time.sleep(0.2)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def needed(program: str) -> str:
    """Return where a program lies; say what to install when it does not."""
    found = shutil.which(program)
    if found is None:
        sys.exit(f"{program} is missing: apt-get install prometheus")
    return found


def asked(url: str, expression: str, span: tuple[float, float, float]) -> list[dict]:
    """Return a Prometheus' answer to a question over a range."""
    start, end, step = span
    query = {"query": expression, "start": start, "end": end, "step": step}
    address = f"{url}/api/v1/query_range?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def record(target: Path, folder: Path, port: int) -> None:
    """Write what a real Prometheus answers, for tests that have none."""
    with filled(folder, port) as url:
        version = json.load(
            urllib.request.urlopen(f"{url}/api/v1/status/buildinfo", timeout=5)
        )
        answers = {text: asked(url, text, RANGE) for text in EXPRESSIONS}
    whole = {
        "source": f"Prometheus {version['data']['version']}",
        "range": RANGE,
        "answers": answers,
    }
    target.write_text(json.dumps(whole, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        record(Path(sys.argv[1]), Path(place), 9191)
