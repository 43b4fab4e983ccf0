"""Models, planning and reflection."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from cortex_client.call import Answer, Call, Traced, traced
from cortex_client.calls.bodies import compact
from cortex_client.decoding import decode
from cortex_client.wire import Model, Plan, Reflection


class PlanOptions(Traced, total=False):
    """``context``: facts the plan may build on; ``strategy``: ``cot`` or ``tot``."""

    context: Mapping[str, object]
    strategy: str
    namespace: str


class ReflectOptions(Traced, total=False):
    """What the output is judged against.

    ``context``: sources it may rest on, by name; ``previous_id``: the reflection on
    the attempt before.
    """

    goal: str
    criteria: Sequence[str]
    context: Mapping[str, object]
    previous_id: str
    namespace: str


def models(**options: Unpack[Traced]) -> Call[tuple[Model, ...]]:
    """Return the models the server knows, and what they did."""
    return Call(
        "GET", "/models", _models, headers=traced(options.get("correlation_id"))
    )


def plan(goal: str, **options: Unpack[PlanOptions]) -> Call[Plan]:
    """Return steps towards ``goal``."""
    correlation_id = options.pop("correlation_id", None)
    return Call(
        "POST",
        "/agents/plan",
        lambda answer: decode(Plan, answer.body),
        body={"goal": goal, **compact(options)},
        headers=traced(correlation_id),
    )


def reflect(
    output: str | Mapping[str, object], **options: Unpack[ReflectOptions]
) -> Call[Reflection]:
    """Judge an output: its text, or an object with ``content`` and more."""
    correlation_id = options.pop("correlation_id", None)
    judged = {"content": output} if isinstance(output, str) else dict(output)
    return Call(
        "POST",
        "/agents/reflect",
        lambda answer: decode(Reflection, answer.body),
        body={"output": judged, **compact(options)},
        headers=traced(correlation_id),
    )


def _models(answer: Answer) -> tuple[Model, ...]:
    body = answer.body if isinstance(answer.body, dict) else {}
    return decode(tuple[Model, ...], body.get("models"), "answer.models")
