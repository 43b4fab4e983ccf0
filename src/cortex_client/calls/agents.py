"""Embedding, planning, reflection, and the audit record of what an agent did."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from cortex_client.call import Answer, Call, Retry, Traced, traced
from cortex_client.calls.bodies import compact
from cortex_client.decoding import decode
from cortex_client.wire import AuditReceipt, Embedding, Model, Plan, Reflection


class EmbedOptions(Traced, total=False):
    """``normalize``: whether the vector shall have length 1."""

    normalize: bool


class PlanOptions(Traced, total=False):
    """``context``: facts the plan may build on; ``strategy``: cot or tot."""

    context: Mapping[str, object]
    strategy: str


class ReflectOptions(Traced, total=False):
    """What the output is judged against."""

    goal: str
    criteria: Sequence[str]


class AuditDetails(Traced, total=False):
    """What else is known of a call; none of it is required."""

    parsed_data: object
    parse_ok: bool
    parse_strategy: str
    parse_confidence: float
    parse_error: str
    provider_name: str
    model_name: str
    latency_ms: float
    usage: Mapping[str, object]
    context_refs: Sequence[object]
    policy_decisions: Sequence[object]


def embed(text: str, **options: Unpack[EmbedOptions]) -> Call[Embedding]:
    """Return the vector of ``text``."""
    correlation_id = options.pop("correlation_id", None)
    return Call(
        "POST",
        "/embed",
        lambda answer: decode(Embedding, answer.body),
        body={"text": text, **compact(options)},
        headers=traced(correlation_id),
    )


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


def record_audit(
    run_id: str,
    agent_name: str,
    method_name: str,
    prompt: str,
    raw_output: str,
    **more: Unpack[AuditDetails],
) -> Call[AuditReceipt]:
    """Write what an agent did into the ledger; durable when answered.

    Never sent again once the server may have it: the ledger would hold it twice.
    """
    correlation_id = more.pop("correlation_id", None)
    return Call(
        "POST",
        "/audit/record",
        lambda answer: decode(AuditReceipt, answer.body),
        body={
            "run_id": run_id,
            "agent_name": agent_name,
            "method_name": method_name,
            "prompt": prompt,
            "raw_output": raw_output,
            **compact(more),
            **compact({"correlation_id": correlation_id}),
        },
        headers=traced(correlation_id),
        retry=Retry.UNSENT,
    )


def _models(answer: Answer) -> tuple[Model, ...]:
    body = answer.body if isinstance(answer.body, dict) else {}
    return decode(tuple[Model, ...], body.get("models"), "answer.models")
