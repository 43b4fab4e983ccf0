"""Quotas around the journeys: asked before each, charged with what it used."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import Memory, MemoryPatch, NewMemory, Stored
from cortex.operations.quotas import Measure
from cortex.usecases.catalog import EmbedMedia, EmbedTexts, Remember, UseCases
from cortex.usecases.embed import Embedded, EmbedRequest
from cortex.usecases.media import (
    EmbeddedMedia,
    MediaFile,
    MediaOptions,
    RememberedMedia,
)
from cortex.usecases.model import (
    BuiltContext,
    CallContext,
    ContextRequest,
    ImportProgress,
)
from cortex.usecases.plan import PlanMade, PlanRequest
from cortex.usecases.reflect import Reflected, ReflectRequest

STORING = (Measure.EMBEDDINGS, Measure.BYTES)
EMBEDDING = (Measure.EMBEDDINGS, Measure.TOKENS)
"""What each kind of journey uses."""


class Meters(Protocol):
    """Counts what tenants use, and refuses those that used up a quota."""

    def check(self, tenant: str, *measures: Measure) -> None:
        """Return if the tenant has something left of each measure."""
        ...

    def add(self, tenant: str, used: Mapping[Measure, int]) -> None:
        """Count what a call used."""
        ...


def metered(use_cases: UseCases, meters: Meters) -> UseCases:
    """Return the same journeys, within the tenants' quotas."""
    metering = _Metering(use_cases, meters)
    return replace(
        use_cases,
        remember=metered_remember(use_cases.remember, meters),
        update_memory=metering.update_memory,
        append_messages=metering.append_messages,
        import_lines=metering.import_lines,
        build_context=metering.build_context,
        embed=_MeteredEmbed(use_cases.embed, meters),
        embed_media=_MeteredMedia(use_cases.embed_media, meters),
        remember_media=metering.remember_media,
        plan=metering.plan,
        reflect=metering.reflect,
    )


def metered_remember(remember: Remember, meters: Meters) -> Remember:
    """Return the same journey, within the tenants' quotas."""

    async def within(
        principal: Principal,
        namespace: Namespace,
        items: Sequence[NewMemory],
        context: CallContext,
        /,
    ) -> list[Stored]:
        meters.check(namespace.tenant, *STORING)
        with _charged(meters, namespace.tenant, _of_items(items)):
            return await remember(principal, namespace, items, context)

    return within


@dataclass(frozen=True, slots=True)
class _MeteredEmbed:
    inner: EmbedTexts
    meters: Meters

    async def __call__(self, request: EmbedRequest, /) -> Embedded:
        self.meters.check(request.tenant, *EMBEDDING)
        used: dict[Measure, int] = {Measure.EMBEDDINGS: len(request.texts)}
        with _charged(self.meters, request.tenant, used):
            made = await self.inner(request)
            used[Measure.TOKENS] = made.total_tokens
        return made

    def identity(self, request: EmbedRequest, /) -> str:
        return self.inner.identity(request)


@dataclass(frozen=True, slots=True)
class _MeteredMedia:
    inner: EmbedMedia
    meters: Meters

    async def text(self, text: str, options: MediaOptions, /) -> EmbeddedMedia:
        self.meters.check(options.tenant, Measure.EMBEDDINGS)
        with _charged(self.meters, options.tenant, {Measure.EMBEDDINGS: 1}):
            return await self.inner.text(text, options)

    async def file(self, given: MediaFile, options: MediaOptions, /) -> EmbeddedMedia:
        self.meters.check(options.tenant, *STORING)
        with _charged(self.meters, options.tenant, _of_file(given)):
            return await self.inner.file(given, options)


@dataclass(frozen=True, slots=True)
class _Metering:
    inner: UseCases
    meters: Meters

    async def update_memory(
        self,
        namespace: Namespace,
        memory_id: str,
        patch: MemoryPatch,
        context: CallContext,
        /,
    ) -> Memory:
        """Charge new words as if they were stored; other fields cost nothing."""
        update = self.inner.update_memory
        if patch.content is None and patch.author is None:
            return await update(namespace, memory_id, patch, context)
        self.meters.check(namespace.tenant, *STORING)
        used = _of_texts([patch.content or ""])
        with _charged(self.meters, namespace.tenant, used):
            return await update(namespace, memory_id, patch, context)

    async def plan(
        self,
        principal: Principal,
        namespace: Namespace,
        request: PlanRequest,
        context: CallContext,
        /,
    ) -> PlanMade:
        """Ask before the work; what is kept of it is charged when it is stored."""
        self.meters.check(namespace.tenant, *STORING)
        return await self.inner.plan(principal, namespace, request, context)

    async def reflect(
        self,
        principal: Principal,
        namespace: Namespace,
        request: ReflectRequest,
        context: CallContext,
        /,
    ) -> Reflected:
        """Ask before the work; what is kept of it is charged when it is stored."""
        self.meters.check(namespace.tenant, *STORING)
        return await self.inner.reflect(principal, namespace, request, context)

    async def append_messages(
        self,
        namespace: Namespace,
        session_id: str,
        items: Sequence[NewMemory],
        context: CallContext,
        /,
    ) -> list[Stored]:
        self.meters.check(namespace.tenant, *STORING)
        append = self.inner.append_messages
        with _charged(self.meters, namespace.tenant, _of_items(items)):
            return await append(namespace, session_id, items, context)

    def import_lines(
        self,
        namespace: Namespace,
        lines: AsyncIterator[bytes],
        context: CallContext,
        /,
        *,
        start_line: int = 0,
        place: Callable[[str], Namespace] | None = None,
    ) -> AsyncIterator[ImportProgress]:
        self.meters.check(namespace.tenant, *STORING)
        counted = self._counted(namespace.tenant, lines)
        return self.inner.import_lines(
            namespace, counted, context, start_line=start_line, place=place
        )

    async def build_context(
        self, namespace: Namespace, request: ContextRequest, context: CallContext, /
    ) -> BuiltContext:
        self.meters.check(namespace.tenant, Measure.TOKENS)
        built = await self.inner.build_context(namespace, request, context)
        self.meters.add(namespace.tenant, {Measure.TOKENS: built.total_tokens})
        return built

    async def remember_media(
        self,
        principal: Principal,
        namespace: Namespace,
        given: MediaFile,
        item: NewMemory,
        context: CallContext,
        /,
        *,
        ocr: bool = False,
    ) -> RememberedMedia:
        self.meters.check(namespace.tenant, *STORING)
        with _charged(self.meters, namespace.tenant, _of_file(given)):
            return await self.inner.remember_media(
                principal, namespace, given, item, context, ocr=ocr
            )

    async def _counted(
        self, tenant: str, lines: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        async for line in lines:
            # A long import ends where the quota does; the lines before are kept.
            self.meters.check(tenant, *STORING)
            used = {Measure.EMBEDDINGS: 1, Measure.BYTES: len(line)}
            with _charged(self.meters, tenant, used):
                yield line


@contextmanager
def _charged(
    meters: Meters, tenant: str, used: Mapping[Measure, int]
) -> Iterator[None]:
    """Charge what a call used once it is done; one that failed used nothing.

    A caller that leaves is charged: what it began goes on to its end, and would be
    free of any quota for those who never wait.
    """
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        meters.add(tenant, used)
        raise
    meters.add(tenant, used)


def _of_items(items: Sequence[NewMemory]) -> dict[Measure, int]:
    return _of_texts([item.content for item in items])


def _of_texts(texts: Sequence[str]) -> dict[Measure, int]:
    size = sum(len(text.encode("utf-8", "replace")) for text in texts)
    return {Measure.EMBEDDINGS: len(texts), Measure.BYTES: size}


def _of_file(given: MediaFile) -> dict[Measure, int]:
    return {Measure.EMBEDDINGS: 1, Measure.BYTES: given.size}
