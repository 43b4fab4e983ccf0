"""Make memories of people who do not exist, with questions that they answer.

    python tools/make_memories.py --count 10000 --questions questions.jsonl > made.jsonl
    cortex import made.jsonl --namespace made

Lines are those of ``POST /memory/import``: conversations of days, between few people,
about the same subjects again and again, short and long, with small talk in between.
Every fact is said once, so that each question has one right answer. The same seed
makes the same lines.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PEOPLE = ("Ann", "Bruno", "Chidi", "Dana", "Emre", "Farida", "Goran", "Hana")
PLACES = (
    "harbour", "bakery", "library", "workshop", "garden", "museum", "clinic", "mill",
    "theatre", "school", "orchard", "archive", "ferry", "laboratory", "market", "inn",
)  # fmt: skip
FAMILIES = (
    "Aldous", "Berg", "Cardoso", "Dvorak", "Eriksen", "Fontaine", "Grant", "Hoshi",
    "Ivanova", "Jansen", "Kowalski", "Lund", "Moreau", "Novak", "Okafor", "Perez",
)  # fmt: skip
FACTS = (
    ("the {thing} opens at {hour}:{minute:02}", "When does the {thing} open?"),
    ("the invoice of the {thing} is {amount} euros", "How much does the {thing} owe?"),
    ("{family} runs the {thing} now", "Who runs the {thing}?"),
    ("the key of the {thing} lies in drawer {hour}", "Where is the {thing}'s key?"),
    (
        "we meet at the {thing} on day {minute}",
        "On which day do we meet at the {thing}?",
    ),
)
TALK = (
    "Thanks, that helps.", "Let me look into it.", "Good morning, everyone.",
    "I will be late today.", "Did anybody water the plants?", "Sounds good to me.",
)  # fmt: skip
REASONS = (
    "I asked twice to be sure, and they told me the same both times.",
    "It was different last year, and it may change again when the season is over.",
    "Please tell the others, because not everybody was there when we talked about it.",
    "I wrote it down on paper as well, in case that somebody asks for it later.",
)
START = 1_700_000_000.0
SECONDS_BETWEEN = 90.0
SECONDS_OF_NIGHT = 50_000.0
MESSAGES_OF_DAY = 40
FACT_SHARE = 0.4
LONG_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Made:
    """A line of an import, and the question it answers, if any."""

    line: dict[str, object]
    question: str


def made(count: int, seed: int) -> Iterator[Made]:
    """Yield memories in the order in which they were said."""
    chance = random.Random(seed)  # noqa: S311  the same lines for the same seed
    untold = _facts(chance)
    at = START
    for number in range(count):
        day, place = divmod(number, MESSAGES_OF_DAY)
        at += SECONDS_BETWEEN * chance.random() + (0 if place else SECONDS_OF_NIGHT)
        said, question = chance.choice(TALK), ""
        if chance.random() < FACT_SHARE:
            said, question = next(untold)
            if chance.random() < LONG_SHARE:
                said = " ".join([said, *chance.sample(REASONS, k=chance.randint(1, 4))])
        line = {
            "content": said,
            "author": chance.choice(PEOPLE),
            "kind": "message",
            "occurred_at": round(at, 3),
            "idempotency_key": f"made-{seed}-{number}",
            "metadata": {"day": day},
        }
        yield Made(line, question)


def _facts(chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield facts and their questions; no thing is told of twice in the same way."""
    district = 0
    while True:
        things = [f"{family} {place}" for family in FAMILIES for place in PLACES]
        pairs = [(thing, fact) for thing in things for fact in FACTS]
        chance.shuffle(pairs)
        for thing, (told, asked) in pairs:
            name = f"{thing} of district {district}" if district else thing
            values = {
                "thing": name, "family": chance.choice(FAMILIES),
                "hour": chance.randint(6, 11), "minute": chance.randint(1, 28),
                "amount": chance.randint(100, 9_999),
            }  # fmt: skip
            said = told.format(**values)
            yield f"{said[0].upper()}{said[1:]}.", asked.format(**values)
        district += 1


def main() -> None:
    """Write the lines to standard output, and the questions beside."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=1_000, help="memories")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--questions", type=Path, help="file for the questions")
    asked = parser.parse_args()
    questions = []
    for one in made(asked.count, asked.seed):
        sys.stdout.write(json.dumps(one.line) + "\n")
        if one.question:
            answer = {"question": one.question, "answer": one.line["content"]}
            questions.append(json.dumps(answer) + "\n")
    if asked.questions:
        asked.questions.write_text("".join(questions), encoding="utf-8")


if __name__ == "__main__":
    main()
