"""Business metrics: what the journeys did, counted around them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import Forgotten, NewMemory, Query, Recalled, Selection, Stored
from cortex.telemetry.metrics import Metrics
from cortex.usecases.catalog import UseCases
from cortex.usecases.model import BuiltContext, CallContext, ContextRequest
from cortex.usecases.plan import PlanMade, PlanRequest
from cortex.usecases.reflect import Reflected, ReflectRequest


def counted(use_cases: UseCases, metrics: Metrics) -> UseCases:
    """Return the same journeys, counting what they answer."""
    counting = _Counting(use_cases, metrics)
    return replace(
        use_cases,
        remember=counting.remember,
        append_messages=counting.append_messages,
        forget=counting.forget,
        search=counting.search,
        build_context=counting.build_context,
        plan=counting.plan,
        reflect=counting.reflect,
    )


@dataclass(frozen=True, slots=True)
class _Counting:
    inner: UseCases
    metrics: Metrics

    async def remember(
        self,
        principal: Principal,
        namespace: Namespace,
        items: Sequence[NewMemory],
        context: CallContext,
        /,
    ) -> list[Stored]:
        stored = await self.inner.remember(principal, namespace, items, context)
        self._stored(stored)
        return stored

    async def append_messages(
        self,
        namespace: Namespace,
        session_id: str,
        items: Sequence[NewMemory],
        context: CallContext,
        /,
    ) -> list[Stored]:
        stored = await self.inner.append_messages(namespace, session_id, items, context)
        self._stored(stored)
        return stored

    async def forget(
        self,
        namespace: Namespace,
        /,
        *,
        ids: Sequence[str] | None,
        selection: Selection | None,
        context: CallContext,
    ) -> Forgotten:
        gone = await self.inner.forget(
            namespace, ids=ids, selection=selection, context=context
        )
        self.metrics.memories_forgotten.inc(len(gone.ids))
        return gone

    async def search(
        self, namespace: Namespace, query: Query, context: CallContext, /
    ) -> Recalled:
        found = await self.inner.search(namespace, query, context)
        self.metrics.searched(
            query.mode.value, len(found.hits), low_confidence=found.low_confidence
        )
        return found

    async def build_context(
        self, namespace: Namespace, request: ContextRequest, context: CallContext, /
    ) -> BuiltContext:
        built = await self.inner.build_context(namespace, request, context)
        self.metrics.contexts_built.inc()
        self.metrics.context_tokens.observe(built.total_tokens)
        self.metrics.context_fill.observe(built.total_tokens / max(1, built.budget))
        self.metrics.tokens_saved.inc(sum(one.tokens for one in built.dropped))
        return built

    async def plan(
        self,
        principal: Principal,
        namespace: Namespace,
        request: PlanRequest,
        context: CallContext,
        /,
    ) -> PlanMade:
        made = await self.inner.plan(principal, namespace, request, context)
        method = made.plan.method.partition(":")[0]
        self.metrics.plans.labels(made.plan.strategy.value, method).inc()
        return made

    async def reflect(
        self,
        principal: Principal,
        namespace: Namespace,
        request: ReflectRequest,
        context: CallContext,
        /,
    ) -> Reflected:
        made = await self.inner.reflect(principal, namespace, request, context)
        method = made.judgement.method.partition(":")[0]
        verdict = "approved" if made.judgement.approved else "rejected"
        self.metrics.reflections.labels(method, verdict).inc()
        return made

    def _stored(self, stored: Sequence[Stored]) -> None:
        created = sum(one.created for one in stored)
        self.metrics.memories_stored.inc(created)
        self.metrics.memories_existing.inc(len(stored) - created)
