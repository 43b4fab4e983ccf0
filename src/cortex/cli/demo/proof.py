"""Looks for a person's own words in raw files, without asking the server."""

import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from cortex.cli.demo.story import DATA_FILE

SENTENCE_CHARACTERS_MIN = 40
"""Shorter turns, such as "Roger.", are said by many and prove nothing."""


def data() -> list[bytes]:
    """Return the lines of the conversation that the demo ships."""
    return (files("cortex.cli.demo") / DATA_FILE).read_bytes().splitlines()


def own_words(lines: Iterable[bytes], user_id: str) -> list[bytes]:
    """Return the longer turns that only this person said."""
    records = [json.loads(line) for line in lines]
    turns = [record for record in records if "content" in record]
    others = "\n".join(t["content"] for t in turns if t["user_id"] != user_id)
    return [
        t["content"].encode()
        for t in turns
        if t["user_id"] == user_id
        and len(t["content"]) >= SENTENCE_CHARACTERS_MIN
        and t["content"] not in others
    ]


def found_in(folder: Path, words: Iterable[bytes]) -> int:
    """Return how many of ``words`` stand in some file under ``folder``."""
    left = set(words)
    total = len(left)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and left:
            content = path.read_bytes()
            left = {word for word in left if word not in content}
    return total - len(left)
