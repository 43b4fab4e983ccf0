"""The sliding window: the last messages word for word, the rest in summary.

The newest messages that fit are kept verbatim; what fell out is summarised in a
reserved part of the budget. While everything fits there is no summary, and no part is
reserved.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from cortex.memory.compression import EMPTY_SUMMARY, Message, Summary, summarise
from cortex.memory.terms import TermAnalyser

SUMMARY_SHARE: Final = 0.25
"""Part of the budget reserved for what fell out, once something does."""

_BETWEEN: Final = "\n"


@dataclass(frozen=True, slots=True)
class Window:
    """A conversation cut to a budget.

    `text` is the summary, if any, and then the kept messages, a line each;
    `total_tokens` is the count of exactly `text`; `summarised` the ids that fell out,
    in order, whether the summary quotes them or not.
    """

    text: str
    total_tokens: int
    kept: tuple[Message, ...]
    summary: Summary
    summarised: tuple[str, ...]


def slide(
    messages: Sequence[Message],
    budget_tokens: int,
    count_tokens: Callable[[str], int],
    analyser: TermAnalyser,
    *,
    summarising: bool = True,
) -> Window:
    """Return the end of a conversation, oldest first, within `budget_tokens`.

    Where not even the last message fits, all of them are summarised. Without
    `summarising` what falls out is only named, and the whole budget is for the rest.

    Raises `ValueError` for a negative budget.
    """
    if budget_tokens < 0:
        message = f"a budget must be 0 or more, got {budget_tokens}"
        raise ValueError(message)
    first = _first_kept(messages, budget_tokens, count_tokens)
    if first and summarising:
        verbatim = budget_tokens - int(budget_tokens * SUMMARY_SHARE)
        first = _first_kept(messages, verbatim, count_tokens)
    while True:
        room = budget_tokens if summarising else 0
        window = _window(messages, first, room, count_tokens, analyser)
        if window.total_tokens <= budget_tokens:
            return window
        # Parts did not add up to the whole: let the oldest kept message go too.
        first += 1


def _first_kept(
    messages: Sequence[Message],
    budget_tokens: int,
    count_tokens: Callable[[str], int],
) -> int:
    """Return the place of the oldest message such that it and all later ones fit."""
    left = budget_tokens
    for at in range(len(messages) - 1, -1, -1):
        left -= count_tokens(messages[at].rendered + _BETWEEN)
        if left < 0:
            return at + 1
    return 0


def _window(
    messages: Sequence[Message],
    first: int,
    budget_tokens: int,
    count_tokens: Callable[[str], int],
    analyser: TermAnalyser,
) -> Window:
    kept = tuple(messages[first:])
    verbatim = _BETWEEN.join(message.rendered for message in kept)
    used = count_tokens(verbatim + _BETWEEN) if kept else 0
    summary = EMPTY_SUMMARY
    if first:
        left = max(budget_tokens - used, 0)
        summary = summarise(messages[:first], left, count_tokens, analyser)
    text = _BETWEEN.join(part for part in (summary.text, verbatim) if part)
    return Window(
        text,
        count_tokens(text) if text else 0,
        kept,
        summary,
        tuple(message.id for message in messages[:first]),
    )
