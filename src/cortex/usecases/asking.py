"""Asking the language model for a journey: each call is told to the ledger.

An event names the model, its tokens and its time, never a word of it. Where the
settings say so, prompt and answer are recorded as well, sealed like any agent's call.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from cortex.foundation.canonical import JsonValue
from cortex.foundation.tenancy import Namespace, Principal
from cortex.inference.generation import Generation
from cortex.inference.language import Ask, ModelCall
from cortex.ledger.model import AgentCall
from cortex.usecases.build_context import Announce
from cortex.usecases.model import CallContext

T = TypeVar("T")

Record = Callable[[Principal, AgentCall, CallContext], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Errand:
    """For whom and for what a model is asked.

    Attributes:
        purpose: which journey, such as ``agents.plan``.
    """

    principal: Principal
    namespace: Namespace
    context: CallContext
    purpose: str


@dataclass(frozen=True, slots=True)
class Asking:
    """The language model, with its calls accounted for.

    Attributes:
        record: records content; None records none.
    """

    generation: Generation
    announce: Announce
    record: Record | None = None

    @property
    def method(self) -> str:
        """Return how an answer of this model is marked."""
        info = self.generation.info
        return f"model:{info.provider}/{info.model}"

    async def __call__(
        self, asked: Ask, read: Callable[[JsonValue], T], errand: Errand
    ) -> T:
        """Return what ``read`` makes of the model's JSON.

        Raises:
            GenerationUnavailable: no usable answer can be had.
        """
        calls: list[ModelCall] = []
        try:
            made = await self.generation.structured(asked, read, calls.append)
        finally:
            for call in calls:
                self._tell(call, errand)
        if self.record is not None:
            for call in calls:
                told = _agent_call(call, errand)
                await self.record(errand.principal, told, errand.context)
        return made.value

    def _tell(self, call: ModelCall, errand: Errand) -> None:
        spent = call.usage
        data: dict[str, JsonValue] = {
            "model": call.info.model[:200],
            "provider": call.info.provider,
            "status": call.outcome,
            "purpose": errand.purpose,
            "prompt_tokens": spent.prompt_tokens,
            "completion_tokens": spent.completion_tokens,
            "total_tokens": spent.prompt_tokens + spent.completion_tokens,
            "tokens_exact": call.exact,
            "attempts": call.attempts,
            "latency_ms": round(call.seconds * 1000, 1),
        }
        self.announce("model.called", errand.namespace, data, errand.context)


def _agent_call(call: ModelCall, errand: Errand) -> AgentCall:
    prompt = "\n\n".join(f"{m.role.value}: {m.content}" for m in call.asked.messages)
    return AgentCall(
        run_id=errand.context.correlation_id,
        agent_name="cortex",
        method_name=errand.purpose,
        prompt=prompt,
        raw_output=call.text,
        provider_name=call.info.provider,
        model_name=call.info.model,
        latency_ms=call.seconds * 1000,
        usage={
            "prompt_tokens": call.usage.prompt_tokens,
            "completion_tokens": call.usage.completion_tokens,
            "exact": call.exact,
        },
    )
