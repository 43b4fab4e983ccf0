"""Files of any modality to vectors, and to memories that a text query finds."""

import asyncio
import hashlib
import mmap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import BinaryIO, Final, Protocol

from cortex.foundation.canonical import canonical_json, sha256_hex
from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.foundation.tenancy import Namespace, Principal
from cortex.inference.errors import EmbeddingFailed
from cortex.inference.media.description import (
    METADATA_KEY,
    described,
    facts,
    mixed,
)
from cortex.inference.media.kinds import (
    TEXT_BYTES_MAX,
    MediaKind,
    Reading,
    Sniffed,
    Want,
)
from cortex.inference.media.sniffing import check_declared, check_text_bytes, sniff
from cortex.inference.model import normalised
from cortex.inference.ports import Embedder, ModelInfo, Vector
from cortex.memory.model import Modality, NewMemory, Stored
from cortex.usecases.embed import TextTooLong
from cortex.usecases.model import CallContext

NOTHING_FOUND: Final = "nothing is said, written or shown that a model knows"

_PIECE_BYTES: Final = 1024 * 1024


class Target(StrEnum):
    """Which vector of a file is wanted."""

    TEXT = "text"
    NATIVE = "native"


class ReadsMedia(Protocol):
    """Decodes files and reads them with models."""

    async def read(
        self, file: BinaryIO, sniffed: Sniffed, wants: frozenset[Want]
    ) -> Reading:
        """Return what was asked of the file."""
        ...


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file as it came in.

    Attributes:
        file: open for reading, anywhere in it; closed by whoever opened it.
        kind: what the caller says it is.
        declared: the content type that the caller sent with it; empty for none.
    """

    file: BinaryIO
    size: int
    kind: MediaKind
    declared: str = ""


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """What to make of a file.

    Attributes:
        normalize: whether the vector shall have length 1.
        target: the vector that compares with texts, or the media model's own.
        ocr: whether to read the words in a picture, too; slow.
        tenant: who asks, for quotas; no part of the answer.
    """

    normalize: bool = True
    target: Target = Target.TEXT
    ocr: bool = False
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class EmbeddedMedia:
    """A vector and where it came from.

    Attributes:
        method: how it was made, such as ``conse`` or ``transcript``.
        model: the model whose space it lies in.
        truncated: whether the text model read the beginning only.
        seconds: from the whole file to the vector.
    """

    vector: Vector
    kind: MediaKind
    mime_type: str
    size: int
    model: str
    space: str
    method: str
    reading: Reading
    truncated: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class RememberedMedia:
    """A file that became a memory: what was stored, and what was found in it."""

    stored: Stored
    mime_type: str
    size: int
    sha256: str
    content: str
    reading: Reading


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of what a file means as text, how it was found, and its weight."""

    method: str
    texts: Sequence[str]
    weights: Sequence[float]


@dataclass(frozen=True, slots=True)
class EmbedMedia:
    """Embeds a text or a file into the space of texts, or into its own."""

    reader: ReadsMedia
    embedder: Embedder
    count_tokens: "CountTokens"
    clock: Clock

    async def text(self, text: str, options: MediaOptions, /) -> EmbeddedMedia:
        """Return the vector of a text.

        Raises:
            TextTooLong: it has more bytes than are read.
            ValidationError: it is empty.
        """
        started = self.clock.monotonic()
        size = len(text.encode("utf-8", "replace"))
        if size > TEXT_BYTES_MAX:
            raise _too_long()
        if not text.strip():
            message = "an empty text has no meaning to embed"
            raise ValidationError(message, field="text")
        if options.target is Target.NATIVE:
            options = replace(options, target=Target.TEXT)
        return await self._finished(
            Reading(),
            Sniffed(MediaKind.TEXT, "text/plain", "text"),
            size,
            [_Part("text", [text], [1.0])],
            options,
            started,
        )

    async def file(self, given: MediaFile, options: MediaOptions, /) -> EmbeddedMedia:
        """Return the vector of a file.

        Raises:
            InvalidModality, UnreadFormat, SecurityViolation, BrokenMedia: as
                ``cortex.inference.media.errors`` says.
            PayloadTooLarge: more bytes, pixels or seconds than are read.
            NotInstalled: a model or ffmpeg is not there.
            EmbeddingUnavailable: no vector can be had now.
        """
        started = self.clock.monotonic()
        sniffed = await looked_at(given)
        if sniffed.kind is MediaKind.TEXT:
            return await self.text(await asyncio.to_thread(_read_text, given), options)
        reading = await self.reader.read(given.file, sniffed, _wants(options))
        if options.target is Target.TEXT:
            parts = _parts(sniffed.kind, reading)
            return await self._finished(
                reading, sniffed, given.size, parts, options, started
            )
        native = reading.native
        if native is None:
            message = "the model gave no vector of its own"
            raise EmbeddingFailed(message)
        vector = normalised(native.vector) if options.normalize else native.vector
        return EmbeddedMedia(
            vector,
            sniffed.kind,
            sniffed.mime_type,
            given.size,
            model=native.model,
            space=native.space,
            method="frames" if sniffed.kind is MediaKind.VIDEO else "native",
            reading=reading,
            truncated=False,
            seconds=self.clock.monotonic() - started,
        )

    async def _finished(
        self,
        reading: Reading,
        sniffed: Sniffed,
        size: int,
        parts: Sequence[_Part],
        options: MediaOptions,
        started: float,
    ) -> EmbeddedMedia:
        info = self.embedder.info
        vector, truncated = await self._vector(parts, info)
        return EmbeddedMedia(
            normalised(vector) if options.normalize else vector,
            sniffed.kind,
            sniffed.mime_type,
            size,
            model=info.name,
            space=info.space,
            method="+".join(part.method for part in parts),
            reading=reading,
            truncated=truncated,
            seconds=self.clock.monotonic() - started,
        )

    async def _vector(
        self, parts: Sequence[_Part], info: ModelInfo
    ) -> tuple[Vector, bool]:
        """Return the mean of the parts, each at length 1 if there are several."""
        texts = [text for part in parts for text in part.texts]
        vectors = iter(await self.embedder.embed(texts))
        means = [
            mixed([next(vectors) for _ in part.texts], part.weights) for part in parts
        ]
        long = [text for text in texts if len(text) > info.max_tokens]
        counts = await asyncio.to_thread(lambda: [self.count_tokens(t) for t in long])
        truncated = any(count > info.max_tokens for count in counts)
        if len(means) == 1:
            return means[0], truncated
        return mixed([normalised(one) for one in means], [1.0] * len(means)), truncated


class CountTokens(Protocol):
    """Counts the text model's own tokens; blocking."""

    def __call__(self, text: str, /) -> int:
        """Return how many tokens the text has."""
        ...


class Remembers(Protocol):
    """Stores memories."""

    async def __call__(
        self,
        principal: Principal,
        namespace: Namespace,
        items: Sequence[NewMemory],
        context: CallContext,
        /,
    ) -> list[Stored]:
        """Return one answer an item, in order."""
        ...


@dataclass(frozen=True, slots=True)
class RememberMedia:
    """Stores what a file shows and says; the file itself stays where it is.

    The memory's ``source`` says where that is, its metadata hold the file's hash.
    """

    reader: ReadsMedia
    remember: Remembers

    async def __call__(
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
        """Return what was stored; ``item.content`` is the caller's caption.

        Raises:
            (as ``EmbedMedia.file`` and ``Remember`` do)
        """
        sniffed = await looked_at(given)
        if sniffed.kind is MediaKind.TEXT:
            caption = await asyncio.to_thread(_read_text, given)
            reading = Reading(transcript=caption)
            content = "\n".join(filter(None, (item.content.strip(), caption)))
        else:
            wants = _wants(MediaOptions(ocr=ocr))
            reading = await self.reader.read(given.file, sniffed, wants)
            content = described(sniffed.kind, reading, item.content)
        digest = await asyncio.to_thread(_sha256, given.file)
        told = facts(
            reading, mime_type=sniffed.mime_type, size=given.size, sha256=digest
        )
        memory = replace(
            item,
            content=content,
            modality=Modality(sniffed.kind.value),
            metadata={**item.metadata, METADATA_KEY: told},
            # The same file, told of the same way, is the same memory.
            idempotency_key=item.idempotency_key or _key(item, digest),
        )
        [stored] = await self.remember(principal, namespace, [memory], context)
        return RememberedMedia(
            stored, sniffed.mime_type, given.size, digest, content, reading
        )


async def looked_at(given: MediaFile) -> Sniffed:
    """Return what the bytes are, after comparing that with what was said."""
    found = await asyncio.to_thread(_sniffed, given)
    check_declared(found, given.kind, given.declared)
    return found


def _sniffed(given: MediaFile) -> Sniffed:
    if not given.size:
        return sniff(b"")
    with mmap.mmap(given.file.fileno(), given.size, access=mmap.ACCESS_READ) as content:
        if given.kind is MediaKind.TEXT and given.size > TEXT_BYTES_MAX:
            raise _too_long()
        return sniff(content)


def _read_text(given: MediaFile) -> str:
    given.file.seek(0)
    raw = given.file.read(TEXT_BYTES_MAX + 1)
    check_text_bytes(raw)
    return raw.decode().removeprefix("\ufeff")


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _key(item: NewMemory, digest: str) -> str:
    told = (digest, item.content, item.author, item.occurred_at, item.session_id)
    return f"media-{sha256_hex(canonical_json(list(told)))}"


def _wants(options: MediaOptions) -> frozenset[Want]:
    wants = {Want.LABELS, Want.NATIVE}
    if options.target is Target.TEXT:
        wants = {Want.LABELS, Want.TRANSCRIPT}
    return frozenset(wants | {Want.WORDS} if options.ocr else wants)


def _parts(kind: MediaKind, reading: Reading) -> list[_Part]:
    """Return what of a file can be said in words.

    Raises:
        ValidationError: nothing can.
    """
    parts = []
    if reading.labels:
        names = [label.name for label in reading.labels]
        weights = [label.probability for label in reading.labels]
        method = "conse" if kind is MediaKind.IMAGE else "frames-conse"
        parts.append(_Part(method, names, weights))
    if reading.transcript:
        parts.append(_Part("transcript", [reading.transcript], [1.0]))
    if reading.words:
        parts.append(_Part("ocr", [reading.words], [1.0]))
    if not parts:
        hint = "Ask for target=native, which needs no words."
        raise ValidationError(NOTHING_FOUND, hint=hint, field="file")
    return parts


def _too_long() -> TextTooLong:
    message = f"the text has more than {TEXT_BYTES_MAX} bytes"
    hint = "Split it: a model reads the beginning of a long text only."
    return TextTooLong(message, hint=hint, field="text", limit=TEXT_BYTES_MAX)
