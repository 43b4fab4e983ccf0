"""Reflect on an output: measure it, judge it, remember it, and see what changed.

A reflection is kept as a memory of kind ``reflection``; its id is that memory's. The
next attempt's reflection finds it by ``previous_id``, or else by its goal.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cortex.agents.checking import (
    Checker,
    Findings,
    Material,
    Nearness,
    Probe,
    probe,
)
from cortex.agents.drafts import read_judgement
from cortex.agents.model import (
    ITERATIONS_MAX,
    Issue,
    Judgement,
    Output,
    Progress,
    Source,
    short,
)
from cortex.agents.prompts import reflect_question
from cortex.agents.scoring import joined, judged, progress
from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import (
    CortexError,
    NotFound,
    Unavailable,
    ValidationError,
)
from cortex.foundation.limits import QUERY_CHARACTERS_MAX
from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import Memory, NewMemory, Query, Selection
from cortex.memory.terms import TermAnalyser
from cortex.memory.trust import SourceKind
from cortex.usecases.agent_memory import AgentMemory
from cortex.usecases.asking import Asking, Errand
from cortex.usecases.build_context import Announce
from cortex.usecases.model import CallContext
from cortex.usecases.plan import PLAN_KIND, as_text
from cortex.usecases.preparing import REFLECTION_KIND

MEMORIES_MAX: Final = 8
"""Memories an output is held against."""

QUESTION_CHARACTERS_MAX: Final = 1_000
"""Characters of an output by which memories are recalled where there is no goal."""

INLINE_CHARACTERS_MAX: Final = 10_000
"""Characters that are checked at once, in some milliseconds; more go to a thread."""

SOURCES_CHARACTERS_MAX: Final = 200_000
"""Characters of all sources that are read, the caller's first: a second of work."""

EMBEDDED_CHARACTERS_MAX: Final = 1_000
"""Characters of a sentence that are embedded: about what the model reads."""

ISSUES_KEPT_MAX: Final = 20
"""Issues kept with a reflection, for the next one to compare."""

KEY_CHARACTERS_MAX: Final = 120

_NO_JUDGEMENTS: Final[Mapping[str, JsonValue]] = {
    f"{REFLECTION_KIND}.quality_score": None
}
"""Selects all but kept judgements, which would crowd out what an output rests on."""


@dataclass(frozen=True, slots=True)
class ReflectRequest:
    """What to judge, and against what.

    Attributes:
        facts: texts that the output may rest on, name → JSON.
        previous_id: reflection on the attempt before; None looks for it by the goal.
    """

    output: Output
    goal: str = ""
    criteria: tuple[str, ...] = ()
    facts: Mapping[str, JsonValue] = field(default_factory=dict)
    previous_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reflected:
    """A judgement that is kept.

    Attributes:
        id: of the reflection and of the memory that keeps it.
        another: whether a next attempt is worth it: not approved, and one is left.
        progress: what changed since the attempt before; None for a first one.
        memories: ids of memories that the output was held against.
    """

    id: str
    judgement: Judgement
    iteration: int
    another: bool
    timestamp: float
    progress: Progress | None = None
    memories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reflect:
    """Judges an output and keeps the judgement."""

    memory: AgentMemory
    checker: Checker
    announce: Announce
    clock: Clock
    asking: Asking | None = None

    async def __call__(
        self,
        principal: Principal,
        namespace: Namespace,
        request: ReflectRequest,
        context: CallContext,
        /,
    ) -> Reflected:
        """Return the judgement, durable.

        Raises:
            ValidationError: no content, or more iterations than are allowed.
            NotFound: ``previous_id`` is no reflection of this namespace.
        """
        _check(request)
        former = await self._former(namespace, request)
        memories = await self._recalled(namespace, request, context)
        errand = Errand(principal, namespace, context, "agents.reflect")
        judgement = await self._judgement(request, memories, errand)
        change = None if former is None else _progress(former, judgement)
        now = self.clock.now()
        item = _item(request, judgement, change, now)
        stored = await self.memory.keep(principal, namespace, [item], context)
        turn = request.output.iteration
        made = Reflected(
            id=stored[0].id,
            judgement=judgement,
            iteration=turn,
            another=not judgement.approved and turn < ITERATIONS_MAX,
            timestamp=now,
            progress=change,
            memories=tuple(memory.id for memory in memories),
        )
        self._tell(namespace, made, context)
        return made

    async def _judgement(
        self, request: ReflectRequest, memories: Sequence[Memory], errand: Errand
    ) -> Judgement:
        sources, notes = _sources(request, memories)
        material = Material(
            request.output, request.goal, request.criteria, tuple(sources)
        )
        size = len(request.output.content) + sum(len(one.text) for one in sources)
        if size <= INLINE_CHARACTERS_MAX:
            probed = probe(material)
        else:
            probed = await asyncio.to_thread(probe, material)
        try:
            nearness = await self._nearness(probed)
        except Unavailable:
            nearness = None
            notes.append("Compared by words alone: the embedder is down.")
        if size <= INLINE_CHARACTERS_MAX:
            findings = self.checker.check(material, probed, nearness)
        else:
            # A stemmer serves one thread: the other thread has one of its own.
            apart = Checker(TermAnalyser())
            findings = await asyncio.to_thread(apart.check, material, probed, nearness)
        return await self._joined(material, findings, judged(findings, notes), errand)

    async def _joined(
        self,
        material: Material,
        findings: Findings,
        measured: Judgement,
        errand: Errand,
    ) -> Judgement:
        """Return the measured judgement, with the model's where there is one."""
        if self.asking is None:
            return measured
        content, method = material.output.content, self.asking.method
        try:
            opinion = await self.asking(
                reflect_question(material, findings),
                lambda value: read_judgement(value, content, method),
                errand,
            )
        except CortexError as error:
            note = f"The language model gave no usable judgement ({error.code})."
            return replace(measured, notes=(*measured.notes, note))
        return joined(measured, opinion)

    async def _nearness(self, probed: Probe) -> Nearness:
        claims = [claim.text[:EMBEDDED_CHARACTERS_MAX] for claim in probed.claims]
        passages = [
            passage.text[:EMBEDDED_CHARACTERS_MAX] for _, passage in probed.passages
        ]
        table = await self.memory.cosines(claims, [*probed.aspects, *passages])
        count = len(probed.aspects)
        return Nearness(
            tuple(max((row[n] for row in table), default=0.0) for n in range(count)),
            tuple(max(row[count:], default=0.0) for row in table),
        )

    async def _recalled(
        self, namespace: Namespace, request: ReflectRequest, context: CallContext
    ) -> list[Memory]:
        """Return memories about the goal; none when nothing seems to be about it."""
        asked = request.goal or request.output.content[:QUESTION_CHARACTERS_MAX]
        others = Selection(where=_NO_JUDGEMENTS)
        wanted = Query(asked[:QUERY_CHARACTERS_MAX], MEMORIES_MAX, selection=others)
        found = await self.memory.recall(namespace, wanted, context)
        if found.low_confidence:
            return []
        own = {PLAN_KIND, REFLECTION_KIND}
        return [hit.memory for hit in found.hits if hit.memory.kind not in own]

    async def _former(
        self, namespace: Namespace, request: ReflectRequest
    ) -> Memory | None:
        """Return the reflection on the attempt before."""
        if request.previous_id is not None:
            found = await self.memory.get(namespace, request.previous_id)
            if found.kind != REFLECTION_KIND:
                raise NotFound(
                    "previous_id is no reflection of this namespace",
                    field="previous_id",
                )
            return found
        if request.output.iteration == 1 or not request.goal:
            return None
        before = request.output.iteration - 1
        where: Mapping[str, JsonValue] = {
            f"{REFLECTION_KIND}.goal": _goal_key(request.goal),
            f"{REFLECTION_KIND}.iteration": before,
        }
        chosen = Selection(kind=REFLECTION_KIND, where=where)
        page = await self.memory.page(namespace, chosen, None, 1)
        return page.memories[0] if page.memories else None

    def _tell(
        self, namespace: Namespace, made: Reflected, context: CallContext
    ) -> None:
        data: dict[str, JsonValue] = {
            "ids": [made.id],
            "count": len(made.judgement.issues),
            "method": made.judgement.method,
            "value": made.judgement.quality_score,
            "approved": made.judgement.approved,
            "iteration": made.iteration,
        }
        self.announce("agents.reflected", namespace, data, context)


def _sources(
    request: ReflectRequest, memories: Sequence[Memory]
) -> tuple[list[Source], list[str]]:
    """Return what the output is held against, and what is to be said of it."""
    told = [(name, as_text(value)) for name, value in request.facts.items()]
    told += [(memory.id, memory.content) for memory in memories]
    if not told:
        return [], ["There was no source to hold its claims against."]
    sources, left = [], SOURCES_CHARACTERS_MAX
    for name, text in told:
        sources.append(Source(name, text[:left]))
        left -= min(left, len(text))
    notes = (
        [] if left else [f"Sources were cut at {SOURCES_CHARACTERS_MAX} characters."]
    )
    return sources, notes


def _check(request: ReflectRequest) -> None:
    if not request.output.content.strip():
        raise ValidationError(
            "output.content must not be empty", field="output.content"
        )
    if not 1 <= request.output.iteration <= ITERATIONS_MAX:
        raise ValidationError(
            f"an output is reflected on at most {ITERATIONS_MAX} times",
            hint="Take the best attempt, or ask a person.",
            field="output.iteration",
            limit=ITERATIONS_MAX,
        )


def _progress(former: Memory, now: Judgement) -> Progress:
    kept = former.metadata.get(REFLECTION_KIND)
    told: Mapping[str, JsonValue] = kept if isinstance(kept, Mapping) else {}
    score, keys = told.get("quality_score"), told.get("issues")
    return progress(
        former.id,
        float(score) if isinstance(score, int | float) else 0.0,
        [str(key) for key in keys] if isinstance(keys, list) else [],
        now,
    )


def _goal_key(goal: str) -> str:
    return hashlib.sha256(" ".join(goal.casefold().split()).encode()).hexdigest()[:32]


def _item(
    request: ReflectRequest, made: Judgement, change: Progress | None, now: float
) -> NewMemory:
    keys: list[JsonValue] = [
        one.key[:KEY_CHARACTERS_MAX] for one in made.issues[:ISSUES_KEPT_MAX]
    ]
    kept: dict[str, JsonValue] = {
        "quality_score": made.quality_score,
        "approved": made.approved,
        "iteration": request.output.iteration,
        "goal": _goal_key(request.goal),
        "issues": keys,
        "method": made.method,
        "previous_id": None if change is None else change.previous_id,
    }
    return NewMemory(
        content=_text(request, made),
        kind=REFLECTION_KIND,
        tags=(REFLECTION_KIND, "approved" if made.approved else "rejected"),
        metadata={REFLECTION_KIND: kept},
        occurred_at=now,
        source=made.method,
        source_kind=SourceKind.AGENT,
    )


def _text(request: ReflectRequest, made: Judgement) -> str:
    about = short(request.goal or request.output.content, 300)
    verdict = "approved" if made.approved else "not approved"
    lines = [
        f"Reflection on: {about}",
        f"Attempt {request.output.iteration} {verdict}: {made.quality_score:.2f}.",
    ]
    return "\n".join((*lines, *map(_line, made.issues[:ISSUES_KEPT_MAX])))


def _line(issue: Issue) -> str:
    evidence = f" [{issue.evidence}]" if issue.evidence else ""
    return f"- {issue.message}{evidence}"
