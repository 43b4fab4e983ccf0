"""embedding.generate, embedding.batch and model.info."""

from typing import Annotated, Any

from pydantic import Field

from cortex.security.scopes import Scope
from cortex.service.fields import OptionalName, Wire
from cortex.service.mcp.calling import Caller
from cortex.service.mcp.tool import Answer, Tool
from cortex.usecases.catalog import UseCases
from cortex.usecases.embed import EMBED_TEXT_CHARACTERS_MAX, Embedded, EmbedRequest

BATCH_TEXTS_MAX = 256
"""Texts of one call: their vectors are about 1 MB of JSON."""

ModelName = Annotated[
    OptionalName, Field(description="The active model's name; leave out for it.")
]
EmbedText = Annotated[str, Field(min_length=1, max_length=EMBED_TEXT_CHARACTERS_MAX)]


class GenerateArguments(Wire):
    """One text."""

    text: EmbedText
    model: ModelName = ""


class BatchArguments(Wire):
    """Several texts."""

    texts: Annotated[list[EmbedText], Field(min_length=1, max_length=BATCH_TEXTS_MAX)]
    model: ModelName = ""


class GenerateAnswer(Wire):
    """One vector of length 1."""

    embedding: list[float]
    dimensions: int
    model: str
    space: Annotated[
        str, Field(description="Only vectors of one space can be compared.")
    ]
    tokens: int
    truncated: bool


class BatchAnswer(Wire):
    """Vectors of length 1, in the order of the texts."""

    embeddings: list[list[float]]
    dimensions: int
    model: str
    space: str
    tokens: list[int]
    truncated: Annotated[list[int], Field(description="Places of texts cut.")]


class NoArguments(Wire):
    """Takes nothing."""


class ModelShape(Wire):
    """One model."""

    name: str
    loaded: bool
    dimensions: int
    max_tokens: int
    space: str
    license: str
    source: str
    cache_hits: int
    cache_misses: int


class ModelsAnswer(Wire):
    """The active model first."""

    models: list[ModelShape]


class InferenceTools:
    """Tools that ask models."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def tools(self) -> tuple[Tool[Any], ...]:
        """Return the tools."""
        return (
            Tool(
                "embedding.generate",
                "Embed a text",
                "Turn a text into a vector of length 1 for comparisons of meaning "
                "done elsewhere. To search memories use memory.search instead.",
                GenerateArguments,
                GenerateAnswer,
                Scope.INFERENCE,
                "embed",
                self.generate,
            ),
            Tool(
                "embedding.batch",
                "Embed several texts",
                f"Turn up to {BATCH_TEXTS_MAX} texts into vectors of length 1.",
                BatchArguments,
                BatchAnswer,
                Scope.INFERENCE,
                "embed",
                self.batch,
            ),
            Tool(
                "model.info",
                "Models",
                "List the embedding models: name, dimensions, longest input, licence "
                "and what the active one did since the start.",
                NoArguments,
                ModelsAnswer,
                Scope.INFERENCE,
                "read",
                self.models,
            ),
        )

    async def generate(self, caller: Caller, given: GenerateArguments) -> Answer:
        """Embed one text."""
        caller.allowed()
        await caller.charge("/embed")
        made = await self._cases.embed(_request(caller, (given.text,), given.model))
        content = {
            "embedding": made.vectors[0].tolist(),
            "tokens": made.tokens[0],
            "truncated": bool(made.truncated),
            **_origin(made),
        }
        return Answer(content, _summary(made))

    async def batch(self, caller: Caller, given: BatchArguments) -> Answer:
        """Embed several texts."""
        caller.allowed()
        await caller.charge("/embeddings")
        asked = _request(caller, tuple(given.texts), given.model)
        made = await self._cases.embed(asked)
        content = {
            "embeddings": [vector.tolist() for vector in made.vectors],
            "tokens": list(made.tokens),
            "truncated": list(made.truncated),
            **_origin(made),
        }
        return Answer(content, _summary(made))

    async def models(self, caller: Caller, _given: NoArguments) -> Answer:
        """List the models."""
        caller.allowed()
        rows = [
            {
                "name": model.info.name,
                "loaded": model.loaded,
                "dimensions": model.info.dimensions,
                "max_tokens": model.info.max_tokens,
                "space": model.info.space,
                "license": model.info.license,
                "source": model.info.source,
                "cache_hits": model.cache_hits,
                "cache_misses": model.cache_misses,
            }
            for model in await self._cases.models()
        ]
        active = rows[0]
        text = (
            f"{active['name']} is active: {active['dimensions']} dimensions, reads "
            f"{active['max_tokens']} tokens."
        )
        return Answer({"models": rows}, text)


def _origin(made: Embedded) -> dict[str, Any]:
    model = made.model
    return {
        "dimensions": model.dimensions,
        "model": model.name,
        "space": model.space,
    }


def _summary(made: Embedded) -> str:
    cut = f", {len(made.truncated)} cut" if made.truncated else ""
    number = len(made.vectors)
    vectors = "1 vector" if number == 1 else f"{number} vectors"
    return (
        f"{vectors} of {made.model.dimensions} dimensions by {made.model.name}, "
        f"{made.total_tokens} tokens{cut}; the numbers are in the "
        "structured result."
    )


def _request(caller: Caller, texts: tuple[str, ...], model: str) -> EmbedRequest:
    return EmbedRequest(texts, model, tenant=caller.principal.tenant)
