"""Verbs that begin what is to be done, with the forms the decomposition meets."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

VERBS: Final = frozenset(
    """
    add adjust agree allow analyse analyze announce apologise apologize apply
    approve archive arrange ask assess assign audit automate back backup benchmark
    book build buy calculate call cancel change check choose clean clear close
    collect compare compile complete compress compute configure confirm
    connect contact convert copy correct count cover create cut debug decide define
    delete deliver deploy describe design detect determine develop disable discuss
    divide document download draft drain draw drink drop email enable encrypt ensure
    enter escalate establish estimate evaluate examine execute expand explain
    explore export extend extract fetch file fill filter finalise finalize find
    finish fix format gather generate get give group hand handle hire identify
    implement import improve increase index inform inspect install integrate
    introduce investigate invite keep label launch learn let limit link list load
    locate log look maintain make map mark measure meet merge migrate minimise
    minimize model modify monitor move name negotiate notify obtain open optimise
    optimize order organise organize outline pack package paint parse pause pay pick
    plan plot post prepare present prevent print prioritise prioritize produce
    profile propose protect prove provide publish pull purchase push put rank read
    rebuild receive recommend reconcile record recover recruit redesign reduce
    refactor refine register rehearse reject release remove rename render repair
    replace replicate reply report request research reserve reset resolve restart
    restore resume retire retrain retrieve return review revise rewrite roll rotate
    run sample save scale schedule score search secure select sell send separate
    serve set set-up share ship show sign simplify sketch solve sort specify split
    start stop store study submit summarise summarize support survey switch sync
    synchronise synchronize tag take talk teach tell test thank trace track train
    transcribe transfer transform translate tune turn undo update upgrade upload use
    validate verify visit wait warm warn watch write
    """.split()  # noqa: SIM905 - two hundred quotes read worse
)

_VOWELS: Final = "aeiou"


def _gerund(verb: str) -> tuple[str, ...]:
    """Return how the verb may be written with -ing."""
    if verb.endswith("e") and not verb.endswith("ee"):
        return (f"{verb[:-1]}ing",)
    plain = f"{verb}ing"
    if len(verb) > 1 and verb[-1] not in "aeiouwxy" and verb[-2] in _VOWELS:
        return (plain, f"{verb}{verb[-1]}ing")
    return (plain,)


GERUNDS: Final[Mapping[str, str]] = MappingProxyType(
    {form: verb for verb in VERBS for form in _gerund(verb)}
)
"""Form with -ing → verb."""


def is_verb(word: str) -> bool:
    """Return whether a clause may begin with this word."""
    return word.casefold() in VERBS


def imperative(text: str) -> str:
    """Return the text with a leading -ing form as a command."""
    first, space, rest = text.partition(" ")
    verb = GERUNDS.get(first.casefold())
    return f"{verb}{space}{rest}" if verb else text
