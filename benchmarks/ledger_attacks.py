"""Counts attacks found and false alarms: the red-team suite, then clean logs.

    python -m benchmarks.ledger_attacks [--clean 1000]

An attack class is one test of ``tests/integration/ledger_attacks``; it asserts that the
attack is found and, where entries are concerned, the index that is named. Exit 1 when
an attack is missed or a clean log is called anything but intact. Logs lie in memory
where the system has such a folder: what is judged are verdicts, not the disk.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from xml.etree import ElementTree as ET

from benchmarks.claims import Claim, report
from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.archive import Archive
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall, SystemEvent
from cortex.ledger.objects import FolderObjects
from cortex.ledger.offline import verify_folder
from cortex.ledger.options import LedgerOptions, LedgerPaths
from cortex.ledger.pins import PinFolder
from cortex.ledger.verdicts import Verdict
from cortex.ledger.verify import Request

SUITE = Path(__file__).parents[1] / "tests" / "integration" / "ledger_attacks"
NOT_ATTACKS = ("clean", "torn", "without_a_key")
SIZES = frozenset(("40", "300", "600", "1024", "1100", "1500"))
SIZES_EACH = 3
MEMORY = Path("/dev/shm")
ENTRIES_MAX = 600
SEED = 20_261_121


@dataclass
class Class:
    """What became of one attack class."""

    cases: int = 0
    missed: int = 0
    sizes: set[str] = field(default_factory=set)


def fast_folder() -> str | None:
    """Return a folder in memory, if there is one."""
    return str(MEMORY) if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None


def run_suite() -> dict[str, Class]:
    """Run the red-team suite; return what became of each class."""
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder:
        path = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", str(SUITE)]
        subprocess.run(
            [*command, f"--junitxml={path}", f"--basetemp={folder}/tests"],
            stdout=subprocess.DEVNULL,
            check=False,
        )
        found: dict[str, Class] = {}
        for case in ET.parse(path).iter("testcase"):
            name, _, parameters = case.attrib["name"].partition("[")
            of_name = found.setdefault(name.removeprefix("test_"), Class())
            of_name.cases += 1
            bad = any(child.tag in ("failure", "error") for child in case)
            of_name.missed += bad
            of_name.sizes |= SIZES & set(parameters.rstrip("]").split("-"))
    return found


async def clean_log(folder: Path, random: Random) -> Verdict:
    """Make a log of random shape, with restarts, and verify it in a random way."""
    clock = SystemClock()
    home, pins = folder / "home", folder / "pins"
    options = LedgerOptions(
        pins=pins,
        hot_seconds=random.choice((0.0, 1e9)),
        warm_seconds=0.0,
        snapshot_entries=random.choice((1, 1000)),
        post_quantum=random.random() < 0.1,
    )
    archive = None
    if random.random() < 0.3:
        archive = Archive(FolderObjects(folder / "archive"))
    count = int(ENTRIES_MAX ** random.random())
    done = 0
    while done < count:
        context = LedgerContext(clock, Uuid7Source(clock), archive=archive)
        ledger = await Ledger.open(home, context, options)
        stop = random.randint(done + 1, count)
        await asyncio.gather(*(append(ledger, n, random) for n in range(done, stop)))
        done = stop
        if random.random() < 0.5:
            await ledger.publish()
        if random.random() < 0.3:
            await ledger.upkeep.run()
        await ledger.close()
    pinned = PinFolder(pins).read()
    sizes = [0] if pinned is None else [0, *(head.size for head in pinned.trail)]
    request = Request(since=random.choice(sizes), deep=random.random() < 0.5)
    paths = LedgerPaths.below(home)
    return verify_folder(paths, pinned, request, archive).verdict


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


def clean_logs(count: int) -> Counter[Verdict]:
    """Return the verdicts of so many logs that nobody attacked."""
    random = Random(SEED)
    verdicts: Counter[Verdict] = Counter()
    for _ in range(count):
        with tempfile.TemporaryDirectory(prefix="clean-", dir=fast_folder()) as folder:
            verdicts[asyncio.run(clean_log(Path(folder), random))] += 1
    return verdicts


def told_of(verdicts: Counter[Verdict]) -> str:
    """Return the verdicts in words."""
    return ", ".join(f"{count} {name}" for name, count in verdicts.items())


def main() -> int:
    """Run both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", type=int, default=1000)
    clean = parser.parse_args().clean
    suite = run_suite()
    attacks = {
        name: found
        for name, found in sorted(suite.items())
        if not name.startswith(NOT_ATTACKS)
    }
    for name, found in attacks.items():
        told = f"{found.cases - found.missed:>4} of {found.cases}"
        print(f"{name.replace('_', ' '):<70}{told}, {len(found.sizes)} sizes")
    cases = sum(found.cases for found in attacks.values())
    lost = sum(found.missed for found in suite.values())
    wide = [found for found in attacks.values() if len(found.sizes) >= SIZES_EACH]
    begun = time.perf_counter()
    verdicts = clean_logs(clean)
    taken = time.perf_counter() - begun
    alarms = clean - verdicts[Verdict.INTACT]
    claims = [
        Claim(
            "attack_classes_at_3_sizes",
            sum(not found.missed for found in wide),
            "classes",
            25,
            note=f"of {len(attacks)} classes in all",
        ),
        Claim(
            "attacks_missed", lost, "cases", 0, at_most=True, note=f"of {cases} cases"
        ),
        Claim("clean_logs", clean, "logs", 1000, note=f"{taken:.0f} s, seed {SEED}"),
        Claim("false_alarms", alarms, "logs", 0, at_most=True, note=told_of(verdicts)),
    ]
    detail = {
        name: {"cases": found.cases, "missed": found.missed, "sizes": len(found.sizes)}
        for name, found in attacks.items()
    }
    return int(not report("ledger-attacks", claims, detail))


if __name__ == "__main__":
    sys.exit(main())
