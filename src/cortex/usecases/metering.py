"""Quotas around the journeys: asked before each, charged with what it used."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import NewMemory, Stored
from cortex.operations.quotas import Measure
from cortex.usecases.catalog import EmbedMedia, EmbedTexts, UseCases
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
        remember=metering.remember,
        append_messages=metering.append_messages,
        import_lines=metering.import_lines,
        build_context=metering.build_context,
        embed=_MeteredEmbed(use_cases.embed, meters),
        embed_media=_MeteredMedia(use_cases.embed_media, meters),
        remember_media=metering.remember_media,
    )


@dataclass(frozen=True, slots=True)
class _MeteredEmbed:
    inner: EmbedTexts
    meters: Meters

    async def __call__(self, request: EmbedRequest, /) -> Embedded:
        self.meters.check(request.tenant, *EMBEDDING)
        made = await self.inner(request)
        used = {
            Measure.EMBEDDINGS: len(made.vectors),
            Measure.TOKENS: made.total_tokens,
        }
        self.meters.add(request.tenant, used)
        return made

    def identity(self, request: EmbedRequest, /) -> str:
        return self.inner.identity(request)


@dataclass(frozen=True, slots=True)
class _MeteredMedia:
    inner: EmbedMedia
    meters: Meters

    async def text(self, text: str, options: MediaOptions, /) -> EmbeddedMedia:
        self.meters.check(options.tenant, Measure.EMBEDDINGS)
        made = await self.inner.text(text, options)
        self.meters.add(options.tenant, {Measure.EMBEDDINGS: 1})
        return made

    async def file(self, given: MediaFile, options: MediaOptions, /) -> EmbeddedMedia:
        self.meters.check(options.tenant, *STORING)
        made = await self.inner.file(given, options)
        self.meters.add(options.tenant, _of_file(given))
        return made


@dataclass(frozen=True, slots=True)
class _Metering:
    inner: UseCases
    meters: Meters

    async def remember(
        self,
        principal: Principal,
        namespace: Namespace,
        items: Sequence[NewMemory],
        context: CallContext,
        /,
    ) -> list[Stored]:
        self.meters.check(namespace.tenant, *STORING)
        stored = await self.inner.remember(principal, namespace, items, context)
        self.meters.add(namespace.tenant, _of_items(items))
        return stored

    async def append_messages(
        self,
        namespace: Namespace,
        session_id: str,
        items: Sequence[NewMemory],
        context: CallContext,
        /,
    ) -> list[Stored]:
        self.meters.check(namespace.tenant, *STORING)
        stored = await self.inner.append_messages(namespace, session_id, items, context)
        self.meters.add(namespace.tenant, _of_items(items))
        return stored

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
        made = await self.inner.remember_media(
            principal, namespace, given, item, context, ocr=ocr
        )
        self.meters.add(namespace.tenant, _of_file(given))
        return made

    async def _counted(
        self, tenant: str, lines: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        async for line in lines:
            # A long import ends where the quota does; the lines before are kept.
            self.meters.check(tenant, *STORING)
            yield line
            self.meters.add(tenant, {Measure.EMBEDDINGS: 1, Measure.BYTES: len(line)})


def _of_items(items: Sequence[NewMemory]) -> dict[Measure, int]:
    size = sum(len(item.content.encode("utf-8", "replace")) for item in items)
    return {Measure.EMBEDDINGS: len(items), Measure.BYTES: size}


def _of_file(given: MediaFile) -> dict[Measure, int]:
    return {Measure.EMBEDDINGS: 1, Measure.BYTES: given.size}
