"""Vectors of texts for callers, with exact counts of the model's own tokens."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cortex.foundation.errors import PayloadTooLarge, ValidationError
from cortex.inference.errors import UnknownModel
from cortex.inference.ports import Embedder, ModelInfo, Vector

EMBED_TEXTS_MAX = 2_048
"""Texts of one request: what clients of OpenAI's API send at most."""

EMBED_TEXT_CHARACTERS_MAX = 100_000
"""Characters of one text: far beyond what any embedding model reads of it."""

DEFAULT_MODEL_NAMES = frozenset({"", "default"})
"""Names that mean the active model."""

INLINE_CHARACTERS_MAX = 10_000
"""Characters whose tokens are counted at once, in about 2 ms; more go to a thread."""


class TextTooLong(PayloadTooLarge):
    """One text has more characters than are read; ``data['field']`` names it."""

    code = "TEXT_TOO_LONG"


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts to embed.

    Attributes:
        model: name of the active model; empty or ``default`` means it too.
        dimensions: length of the vectors; None takes the model's.
        tenant: who asks, for quotas; no part of the answer.
    """

    texts: tuple[str, ...]
    model: str = ""
    dimensions: int | None = None
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Embedded:
    """One vector a text, in order.

    Attributes:
        tokens: of each whole text, special ones included, by the model's tokenizer.
        model: whose vectors these are.
    """

    vectors: tuple[Vector, ...]
    tokens: tuple[int, ...]
    model: ModelInfo

    @property
    def total_tokens(self) -> int:
        """Return the tokens of all texts."""
        return sum(self.tokens)

    @property
    def truncated(self) -> tuple[int, ...]:
        """Return the places of texts of which the model read the beginning only."""
        limit = self.model.max_tokens
        return tuple(n for n, count in enumerate(self.tokens) if count > limit)


def check_model(asked: str, active: str) -> None:
    """Return if a caller's name for a model means the one that embeds.

    Raises:
        UnknownModel: it does not.
    """
    if asked not in DEFAULT_MODEL_NAMES and asked != active:
        raise UnknownModel(
            f"no model named {asked[:80]!r} embeds here",
            hint=f"Use {active!r}, or 'default'.",
            known=[active],
            field="model",
        )


@dataclass(frozen=True, slots=True)
class Embed:
    """Embeds with the active model."""

    embedder: Embedder
    count_tokens: Callable[[str], int]

    async def __call__(self, request: EmbedRequest, /) -> Embedded:
        """Return the vectors.

        Raises:
            UnknownModel: the model is not the active one.
            ValidationError: no text, too many, an empty one, or other dimensions.
            TextTooLong: a text is over the limit.
            EmbeddingUnavailable: no vector can be had now.
        """
        self._check(request)
        vectors = await self.embedder.embed(request.texts)
        tokens = await self._counted(request.texts)
        return Embedded(tuple(vectors), tokens, self.embedder.info)

    def identity(self, request: EmbedRequest, /) -> str:
        """Return a name of the answer: equal requests to equal models share it.

        Raises:
            as ``__call__``, except for ``EmbeddingUnavailable``.
        """
        self._check(request)
        info = self.embedder.info
        digest = hashlib.sha256(f"{info.space}\0{info.revision}".encode())
        for text in request.texts:
            data = text.encode("utf-8", "surrogatepass")
            # The length keeps ["ab"] and ["a", "b"] apart.
            digest.update(b"%d\0" % len(data))
            digest.update(data)
        return digest.hexdigest()[:32]

    async def _counted(self, texts: Sequence[str]) -> tuple[int, ...]:
        if sum(map(len, texts)) <= INLINE_CHARACTERS_MAX:
            return tuple(map(self.count_tokens, texts))
        return await asyncio.to_thread(lambda: tuple(map(self.count_tokens, texts)))

    def _check(self, request: EmbedRequest) -> None:
        info = self.embedder.info
        check_model(request.model, info.name)
        if request.dimensions not in (None, info.dimensions):
            raise ValidationError(
                f"{info.name} makes vectors of {info.dimensions} dimensions only: "
                "cut ones would not mean the same",
                hint=f"Leave out dimensions, or send {info.dimensions}.",
                field="dimensions",
                limit=info.dimensions,
            )
        if not 1 <= len(request.texts) <= EMBED_TEXTS_MAX:
            raise ValidationError(
                f"1 to {EMBED_TEXTS_MAX} texts can be embedded at once",
                field="texts",
                limit=EMBED_TEXTS_MAX,
            )
        for place, text in enumerate(request.texts):
            _check_text(text, place)


def _check_text(text: str, place: int) -> None:
    if not text:
        raise ValidationError(
            "an empty text has no meaning to embed", field=f"texts[{place}]"
        )
    if len(text) > EMBED_TEXT_CHARACTERS_MAX:
        raise TextTooLong(
            f"text {place} has more than {EMBED_TEXT_CHARACTERS_MAX} characters",
            hint="Split it: a model reads the beginning of a long text only.",
            field=f"texts[{place}]",
            limit=EMBED_TEXT_CHARACTERS_MAX,
        )
