"""Counts attacks found and false alarms: the red-team suite, then clean logs.

    python -m benchmarks.ledger_attacks [--clean 1000]

An attack class is one test of ``tests/integration/ledger_attacks``; each runs at three
sizes or more. Exit 1 when an attack is missed or a clean log is called anything but
intact.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from xml.etree import ElementTree as ET

from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall, SystemEvent
from cortex.ledger.offline import verify_folder
from cortex.ledger.options import LedgerOptions, LedgerPaths
from cortex.ledger.pins import PinFolder
from cortex.ledger.verdicts import Verdict
from cortex.ledger.verify import Request

SUITE = Path(__file__).parents[1] / "tests" / "integration" / "ledger_attacks"
NOT_ATTACKS = ("clean", "torn", "without_a_key")
ENTRIES_MAX = 600
SEED = 20_261_121


def run_suite() -> tuple[Counter[str], Counter[str]]:
    """Run the red-team suite; return cases and misses of each attack class."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", str(SUITE)]
        subprocess.run(
            [*command, f"--junitxml={report}"],
            stdout=subprocess.DEVNULL,
            check=False,
        )
        cases = ET.parse(report).iter("testcase")
        total: Counter[str] = Counter()
        missed: Counter[str] = Counter()
        for case in cases:
            name = case.attrib["name"].split("[")[0].removeprefix("test_")
            total[name] += 1
            missed[name] += any(child.tag in ("failure", "error") for child in case)
    return total, missed


async def clean_log(folder: Path, random: Random) -> Verdict:
    """Make a log of random shape, with restarts, and verify it in a random way."""
    clock = SystemClock()
    home, pins = folder / "home", folder / "pins"
    options = LedgerOptions(
        pins=pins,
        hot_seconds=random.choice((0.0, 1e9)),
        snapshot_entries=random.choice((1, 1000)),
        post_quantum=random.random() < 0.1,
    )
    count = int(ENTRIES_MAX ** random.random())
    done = 0
    while done < count:
        context = LedgerContext(clock, Uuid7Source(clock))
        ledger = await Ledger.open(home, context, options)
        stop = random.randint(done + 1, count)
        await asyncio.gather(*(append(ledger, n, random) for n in range(done, stop)))
        done = stop
        if random.random() < 0.5:
            await ledger.publish()
        if random.random() < 0.3:
            await ledger.upkeep.run()
        await ledger.close()
    request = Request(deep=random.random() < 0.5)
    result = verify_folder(LedgerPaths.below(home), PinFolder(pins).read(), request)
    return result.verdict


async def append(ledger: Ledger, number: int, random: Random) -> None:
    """Record a call or an event with random content."""
    if random.random() < 0.3:
        text = "".join(chr(random.randint(32, 0x2FFF)) for _ in range(20))
        usage = {text: random.random() * 10 ** random.randint(-30, 30)}
        call = AgentCall(f"r{number}", "agent", "act", text, text, usage=usage)
        await ledger.record(call)
    else:
        data = {"n": number, "x": random.random()}
        await ledger.append(SystemEvent(f"e{number}", "test.happened", data=data))


def main() -> int:
    """Run both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", type=int, default=1000)
    clean = parser.parse_args().clean
    total, missed = run_suite()
    attacks = [name for name in sorted(total) if not name.startswith(NOT_ATTACKS)]
    for name in attacks:
        found = total[name] - missed[name]
        print(f"{name.replace('_', ' '):<70}{found:>4} of {total[name]}")
    cases = sum(total[name] for name in attacks)
    lost = sum(missed.values())
    print(f"{len(attacks)} attack classes, {cases} cases, {lost} missed")
    random = Random(SEED)
    verdicts: Counter[Verdict] = Counter()
    begun = time.perf_counter()
    for _ in range(clean):
        folder = Path(tempfile.mkdtemp(prefix="clean-"))
        verdicts[asyncio.run(clean_log(folder, random))] += 1
        shutil.rmtree(folder)
    taken = time.perf_counter() - begun
    alarms = clean - verdicts[Verdict.INTACT]
    print(f"{clean} clean logs, {alarms} false alarms, {taken:.0f} s, seed {SEED}")
    return int(bool(lost or alarms))


if __name__ == "__main__":
    sys.exit(main())
