"""Language models: what is asked, what comes back, and what a backend must offer.

A backend has one way to answer, a stream of pieces; an answer in one piece is such a
stream collected (`cortex.inference.generation`). So a hung model is noticed between
two pieces, and a caller that leaves ends the work.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from cortex.foundation.canonical import JsonValue

ANSWER_TOKENS_DEFAULT: Final = 1_500
"""Tokens of an answer: ten steps in each of five branches, or twenty issues."""


class Role(StrEnum):
    """Who says a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation with a model."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to a model.

    Attributes:
        max_tokens: of the answer; it is cut there.
        temperature: 0 for the likeliest answer; services without it ignore it.
        schema: JSON schema (2020-12) that the answer shall keep to; None for text.
    """

    messages: tuple[ChatMessage, ...]
    max_tokens: int = ANSWER_TOKENS_DEFAULT
    temperature: float = 0.2
    schema: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a question and its answer, as the service counted them."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer.

    Attributes:
        finish: why the answer ended (``stop``, ``length`` …); empty before its end.
        usage: set once, at the end, by services that tell it.
    """

    text: str = ""
    finish: str = ""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class LanguageInfo:
    """Which model answers.

    Attributes:
        provider: ``openai``, ``anthropic`` or ``local``.
        source: address or file it comes from, for people.
    """

    provider: str
    model: str
    source: str


class LanguageBackend(Protocol):
    """Answers by one model; any number of answers at once."""

    @property
    def info(self) -> LanguageInfo:
        """Return which model this is."""
        ...

    def stream(self, asked: Ask) -> AsyncGenerator[Piece, None]:
        """Yield the answer; the last pieces carry ``finish`` and ``usage``.

        Raises:
            GenerationFailed: no whole answer; see its kinds for what helps.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and models. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer.

    Attributes:
        exact: whether the service counted the tokens, and not an estimate of ours.
    """

    text: str
    finish: str
    usage: Usage
    exact: bool


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a language model, for accounting.

    Attributes:
        outcome: ``ok`` or the error's code.
        attempts: tries, the first included.
        text: the answer; empty for a failed call. Whether it is kept is the
            observer's decision.
    """

    info: LanguageInfo
    asked: Ask
    outcome: str
    seconds: float
    attempts: int
    usage: Usage
    exact: bool
    text: str = ""
