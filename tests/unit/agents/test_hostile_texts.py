"""Texts made to take long: the work on them stays bounded."""

import time

import pytest

from cortex.agents.checking import Checker, Material, probe
from cortex.agents.model import Output, Source, Strategy
from cortex.agents.planning import Ground, Planner
from cortex.memory.terms import TermAnalyser

SECONDS_MAX = 2.0
"""Processor time: a hundred times what an ordinary text of this length takes."""

SIZE = 50_000
PIECES = {
    "commas": "open, shut, ",
    "spaces": " ",
    "lines": "\n",
    "numbers": "17.{n} ",
    "citations": "https://a.example/{n} ",
    "quotes": '"a quotation of some length" ',
    "one-word": "a",
    "then": "build it and then ",
    "before": "build it before building ",
    "not": "it is not good but it is good, ",
    "bullets": "- do\n",
    "fences": "```\n",
    "pipes": "|a|\n",
    "digits": "1",
    "capitals": "A",
    "brackets": "[1](",
}


def text_of(piece: str, size: int) -> str:
    numbered = (piece.replace("{n}", str(n)) for n in range(size))
    whole = ""
    parts = []
    while len(whole) < size:
        parts.append(next(numbered))
        if len(parts) % 500 == 0 or len(piece) * len(parts) >= size:
            whole = "".join(parts)
    return whole[:size]


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_the_work_on_a_text_is_bounded(piece: str) -> None:
    content = text_of(piece, SIZE)
    goal = text_of(piece, 10_000)
    criteria = ("valid JSON", "a bullet list", "exactly 3 paragraphs", "with a table")
    began = time.process_time()
    sources = (Source("a", content[::-1]), Source("b", content))
    material = Material(Output(content), goal, criteria, sources)
    Checker(TermAnalyser()).check(material, probe(material), None)
    if goal.strip():
        Planner(TermAnalyser()).plan(goal, Strategy.TOT, Ground({}))
    assert time.process_time() - began < SECONDS_MAX
