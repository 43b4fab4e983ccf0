"""LoCoMo and BEAM as conversations to remember and questions to ask.

The data is not part of the project (some of it forbids copies): name its folder.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cortex.memory.model import NewMemory

_TURN = re.compile(r"D(\d+):(\d+)")
_MARKER = re.compile(r"\s*->->.*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its category and the keys of the turns that answer it."""

    text: str
    category: str
    evidence: frozenset[str]
    asked_at: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in order, each with its key, and the questions about them."""

    name: str
    source: str
    keys: tuple[str, ...]
    items: tuple[NewMemory, ...]
    questions: tuple[Question, ...]


class MissingData(Exception):
    """The data folder is not there; the message says how to name it."""


def load(folder: Path) -> list[Conversation]:
    """Return every conversation below a data folder."""
    files = sorted(folder.glob("memory/locomo*.json"))
    chats = sorted(folder.glob("memory/beam*/*/chat.json"))
    if not files and not chats:
        message = (
            f"no LoCoMo or BEAM data below {folder}; name the folder that holds "
            "memory/locomo*.json and memory/beam*/N/ with --data or CORTEX_DATA"
        )
        raise MissingData(message)
    found = [c for file in files for c in _locomo(file)]
    return found + [_beam(chat) for chat in chats]


def _locomo(file: Path) -> list[Conversation]:
    samples = json.loads(file.read_text(encoding="utf-8"))
    return [_locomo_sample(sample) for sample in samples]


def _locomo_sample(sample: dict) -> Conversation:
    talk = sample["conversation"]
    keys: list[str] = []
    items: list[NewMemory] = []
    last = 0.0
    numbers = sorted(
        int(name.split("_")[1])
        for name, value in talk.items()
        if re.fullmatch(r"session_\d+", name) and isinstance(value, list)
    )
    for number in numbers:
        began = _locomo_time(talk[f"session_{number}_date_time"])
        for place, turn in enumerate(talk[f"session_{number}"]):
            text = turn["text"]
            if turn.get("blip_caption"):
                text += f" [shares {turn['blip_caption']}]"
            last = began + place
            keys.append(turn["dia_id"])
            items.append(
                NewMemory(
                    content=text or "[no text]",
                    author=turn["speaker"],
                    session_id=f"session_{number}",
                    occurred_at=last,
                    user_id=turn["speaker"],
                )
            )
    known = set(keys)
    questions = tuple(
        Question(
            qa["question"],
            str(qa["category"]),
            frozenset(_turns(qa.get("evidence", []), known)),
            last,
        )
        for qa in sample["qa"]
    )
    name = str(sample.get("sample_id", file_name(keys)))
    return Conversation(name, "locomo", tuple(keys), tuple(items), questions)


def file_name(keys: list[str]) -> str:
    """Return a name for a sample that has none."""
    return f"sample-{len(keys)}"


def _turns(evidence: list[object], known: set[str]) -> set[str]:
    named = {
        f"D{int(session)}:{int(turn)}"
        for entry in evidence
        for session, turn in _TURN.findall(str(entry))
    }
    return named & known


def _locomo_time(text: str) -> float:
    parsed = datetime.strptime(text, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
    return parsed.timestamp()


def _beam(chat: Path) -> Conversation:
    batches = json.loads(chat.read_text(encoding="utf-8"))
    probes = json.loads(
        chat.with_name("probing_questions.json").read_text(encoding="utf-8")
    )
    keys: list[str] = []
    items: list[NewMemory] = []
    anchor, when = 0.0, 0.0
    for batch in batches:
        for place, turn in enumerate(t for group in batch["turns"] for t in group):
            if turn.get("time_anchor"):
                anchor = _beam_time(turn["time_anchor"], anchor)
            when = anchor + place
            keys.append(str(turn["id"]))
            items.append(
                NewMemory(
                    content=_MARKER.sub("", turn["content"]) or "[no text]",
                    author=turn["role"],
                    session_id=f"batch_{batch['batch_number']}",
                    occurred_at=when,
                )
            )
    known = set(keys)
    questions = tuple(
        Question(
            probe["question"],
            category,
            frozenset(_numbers(probe.get("source_chat_ids", [])) & known),
            when,
        )
        for category, asked in probes.items()
        for probe in asked
    )
    name = f"beam-{chat.parent.name}"
    return Conversation(name, "beam", tuple(keys), tuple(items), questions)


def _numbers(value: object) -> set[str]:
    if isinstance(value, dict):
        return {key for inner in value.values() for key in _numbers(inner)}
    if isinstance(value, list):
        return {key for inner in value for key in _numbers(inner)}
    return {str(value)} if isinstance(value, int) else set()


def _beam_time(text: str, before: float) -> float:
    try:
        return datetime.strptime(text, "%B-%d-%Y").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return before
