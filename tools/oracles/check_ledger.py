"""Lets verifiers that Cortex did not write judge its logs, and a spoilt copy of them.

    python tools/oracles/check_ledger.py [--sample | --wide]

The verifiers are PyPI's ``aics-tlog`` (needs ``pip install --no-deps
--ignore-requires-python aics-tlog``; it asks for Python 3.12 but runs on 3.11) and Go's
``sumdb`` packages (Debian: ``golang-go golang-golang-x-mod-dev``). Sizes 0 to 1 100 are
published one by one; ``--wide`` adds 65 535 to 65 793, the step to a third level;
``--sample`` takes the sizes about full tiles only. A verifier that is not installed is
named and left out; without any the exit code is 3.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import SystemEvent
from cortex.ledger.options import LedgerOptions

try:
    import aics_tlog
    from aics_tlog.verified import audit_tiles
except ImportError:
    aics_tlog = None

SMALL = range(1, 1101)
SAMPLE = (1, 2, 3, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 1100)
WIDE = range(65_535, 65_794)
GO_PATH = Path("/usr/share/gocode")
AT_ONCE = 2000
NOTHING_TO_JUDGE = 3


async def build(folder: Path, sizes: list[int]) -> tuple[Path, str]:
    """Publish a head at each size, keep its note, and let aics-tlog judge each."""
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))
    options = LedgerOptions(origin="log.example/audit", pins=folder / "pins")
    ledger = await Ledger.open(folder / "home", context, options)
    log = ledger.paths.tiles
    (log / "checkpoints").mkdir(parents=True)
    vkey = ledger.keys.signers[0].verifier_key.encode()
    keep(ledger, log)
    judge(log, vkey)
    size = 0
    for wanted in sizes:
        while size < wanted:
            stop = min(wanted, size + AT_ONCE)
            await asyncio.gather(
                *(
                    ledger.append(SystemEvent(f"e{n}", "test"))
                    for n in range(size, stop)
                )
            )
            size = stop
        await ledger.publish()
        keep(ledger, log)
        judge(log, vkey)
    await ledger.close()
    return log, vkey


def keep(ledger: Ledger, log: Path) -> None:
    """Keep the newest note for the other verifier."""
    signed = ledger.checkpoint()
    (log / "checkpoints" / str(signed.size)).write_bytes(signed.encode())


def judge(log: Path, vkey: str) -> None:
    """Verify the published checkpoint, all tiles and all entries with aics-tlog."""
    if aics_tlog is None:
        return
    note = aics_tlog.parse_note((log / "checkpoint").read_bytes())
    result = aics_tlog.verify_checkpoint(note, aics_tlog.parse_vkey(vkey))
    if not result.ok:
        message = f"aics-tlog refuses the checkpoint: {result}"
        raise SystemExit(message)
    head = aics_tlog.parse_checkpoint(note.text)
    audit_tiles(aics_tlog.FileSystemTileReader(log), head.size, head.root)


def go(log: Path, vkey: str) -> subprocess.CompletedProcess[str]:
    """Verify all kept notes with Go's sumdb."""
    program = Path(__file__).with_name("tlog.go")
    environment = os.environ | {"GO111MODULE": "off", "GOPATH": str(GO_PATH)}
    command = ["go", "run", str(program), str(log), vkey]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )


def has_go() -> bool:
    """Return whether Go and its sumdb packages are installed."""
    return shutil.which("go") is not None and GO_PATH.is_dir()


def refused_when_spoilt(log: Path, vkey: str) -> list[str]:
    """Flip one bit in a copy of each kind of file; return who accepted it."""
    accepted = []
    for name in ("checkpoint", "tile/0/001", "tile/entries/001", "tile/1/000.p/4"):
        copy = Path(tempfile.mkdtemp()) / "log"
        shutil.copytree(log, copy)
        names = [name, "checkpoints/1100"] if name == "checkpoint" else [name]
        for spoilt in names:
            data = bytearray((copy / spoilt).read_bytes())
            data[40] ^= 1
            (copy / spoilt).write_bytes(data)
        try:
            judge(copy, vkey)
        except (SystemExit, ValueError, OSError):
            pass
        else:
            if aics_tlog is not None:
                accepted.append(f"aics-tlog: {name}")
        if has_go() and go(copy, vkey).returncode == 0:
            accepted.append(f"Go: {name}")
        shutil.rmtree(copy.parent)
    return accepted


def judged(folder: Path, sizes: list[int], *, spoil: bool) -> bool:
    """Let the verifiers judge a log at each size, and print what they said."""
    log, vkey = asyncio.run(build(folder, sizes))
    span = f"{len(sizes)} sizes up to {sizes[-1]}"
    good = True
    if aics_tlog is not None:
        print(f"aics-tlog accepts {span}")
    if has_go():
        answer = go(log, vkey)
        good = answer.returncode == 0
        said = "accepts" if good else "refuses"
        print(
            f"Go's sumdb {said} {answer.stdout.strip()} heads {answer.stderr.strip()}"
        )
    if spoil:
        accepted = refused_when_spoilt(log, vkey)
        print(f"spoilt copies accepted: {', '.join(accepted) or 'none'}")
        good = good and not accepted
    return good


def main() -> int:
    """Judge and print; 0 when all accept what is good and refuse what is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    width = parser.add_mutually_exclusive_group()
    width.add_argument("--sample", action="store_true")
    width.add_argument("--wide", action="store_true")
    options = parser.parse_args()
    for name, is_there in (("aics-tlog", aics_tlog is not None), ("Go", has_go())):
        if not is_there:
            print(f"{name} is not installed")
    if aics_tlog is None and not has_go():
        return NOTHING_TO_JUDGE
    folder = Path(tempfile.mkdtemp(prefix="oracles-"))
    try:
        sizes = list(SAMPLE if options.sample else SMALL)
        good = judged(folder, sizes, spoil=True)
        if options.wide:
            good = judged(folder / "wide", list(WIDE), spoil=False) and good
    finally:
        shutil.rmtree(folder)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
