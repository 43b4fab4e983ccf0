"""The language-model service: one question, one whole answer, accounted for.

A question waits for one of a few places, is asked again where that is safe, and is
given up at its deadline. Safe to repeat is what certainly failed before an answer was
made or handed on: a refused connection, a refusal for load, a server's failure, an
answer that broke off. A silence is not: the work may be under way and is paid for.
Failures open a circuit breaker. A structured answer that does not fit is sent back
once with what is wrong with it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Generic, TypeVar

from cortex.foundation.breaker import Breaker, Permit, Refused
from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError, Overloaded
from cortex.foundation.retry import RetryPolicy, retry_async
from cortex.inference.errors import (
    AnswerUnfit,
    GenerationRefused,
    GenerationTimedOut,
    GenerationUnavailable,
)
from cortex.inference.language import (
    Ask,
    ChatMessage,
    Completion,
    LanguageBackend,
    LanguageInfo,
    ModelCall,
    Role,
    Usage,
)
from cortex.inference.schema import Unfit, read_answer

T = TypeVar("T")

CONCURRENT_MAX: Final = 4
"""Questions under way at once: a local model has few slots, a service its own limit."""

WAITING_MAX: Final = 32
"""Questions that may wait for a place."""

OVERLOADED_SECONDS: Final = 5.0
"""Wait told to one that finds the queue full: about one answer."""

ANSWER_CHARACTERS_MAX: Final = 400_000
"""Characters of an answer; a model that goes on beyond is broken."""

REPAIRED_CHARACTERS_MAX: Final = 20_000
"""Characters of a wrong answer that are sent back."""

Told = Callable[[ModelCall], None]


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How long to wait and how often to try.

    Attributes:
        deadline_seconds: for one question, all tries and its wait for a place.
        observe: told of each call, failed ones too.
    """

    concurrent_max: int = CONCURRENT_MAX
    waiting_max: int = WAITING_MAX
    deadline_seconds: float = 60.0
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    observe: Told | None = None


@dataclass(frozen=True, slots=True)
class Structured(Generic[T]):
    """An answer as a value.

    Attributes:
        repaired: whether the first answer had to be sent back.
    """

    value: T
    repaired: bool


@dataclass(slots=True)
class _Count:
    attempts: int = 0


class Generation:
    """Answers by one backend, on one event loop."""

    def __init__(
        self,
        backend: LanguageBackend,
        *,
        breaker: Breaker,
        clock: Clock,
        count_tokens: Callable[[str], int],
        options: GenerationOptions | None = None,
    ) -> None:
        """Own the backend; ``count_tokens`` is for services that do not count."""
        self._backend = backend
        self._breaker = breaker
        self._clock = clock
        self._count_tokens = count_tokens
        self._options = options or GenerationOptions()
        self._places = asyncio.Semaphore(self._options.concurrent_max)
        self._waiting = 0

    @property
    def info(self) -> LanguageInfo:
        """Return which model answers."""
        return self._backend.info

    @property
    def breaker(self) -> Breaker:
        """Return the breaker, for health."""
        return self._breaker

    async def close(self) -> None:
        """Close the backend."""
        await self._backend.close()

    async def complete(self, asked: Ask, told: Told | None = None) -> Completion:
        """Return the whole answer.

        Raises:
            GenerationFailed: none came after all tries.
            GenerationUnavailable: the breaker is open.
            Overloaded: too many questions wait already.
        """
        started, count = self._clock.monotonic(), _Count()
        made: Completion | None = None
        outcome = "ok"
        try:
            async with asyncio.timeout(self._options.deadline_seconds), self._place():
                made = await retry_async(
                    lambda: self._attempt(asked, count), self._options.retries
                )
        except TimeoutError as error:
            late = self._late(count.attempts)
            outcome = late.code
            raise late from error
        except CortexError as error:
            outcome = error.code
            raise
        finally:
            # A call that was cancelled cost tokens as well.
            outcome = "cancelled" if made is None and outcome == "ok" else outcome
            self._account(asked, made, (outcome, started, count.attempts), told)
        return made

    async def structured(
        self, asked: Ask, read: Callable[[JsonValue], T], told: Told | None = None
    ) -> Structured[T]:
        """Return what ``read`` makes of the answer's JSON.

        ``read`` raises `Unfit` for what the schema cannot say; the model is then told
        once, as it is of a breach of the schema.

        Raises:
            AnswerUnfit: the repair did not fit either.
            (others as `complete`)
        """
        schema = asked.schema or {}
        first = await self.complete(asked, told)
        try:
            return Structured(read(read_answer(first.text, schema)), repaired=False)
        except Unfit as unfit:
            again = _repair(asked, first.text, unfit)
        second = await self.complete(again, told)
        try:
            return Structured(read(read_answer(second.text, schema)), repaired=True)
        except Unfit as unfit:
            raise AnswerUnfit(
                f"{self.info.model} did not answer as asked, twice",
                hint="Use a larger model.",
                problems=unfit.problems,
            ) from unfit

    async def _attempt(self, asked: Ask, count: _Count) -> Completion:
        permit = self._breaker.enter()
        if isinstance(permit, Refused):
            raise GenerationUnavailable(
                f"{self.info.model} failed repeatedly and is left alone for now",
                retry_after_seconds=permit.retry_after_seconds,
            )
        count.attempts += 1
        outcome: bool | None = False
        try:
            made = await self._collected(asked)
            outcome = True
        except GenerationRefused:
            # The service works; it is the question or the key that does not.
            outcome = None
            raise
        except asyncio.CancelledError:
            # By the deadline or by a caller that left: only the first says anything.
            outcome = None
            raise
        finally:
            self._settle(permit, ok=outcome)
        return made

    async def _collected(self, asked: Ask) -> Completion:
        texts: list[str] = []
        size, finish = 0, ""
        usage: Usage | None = None
        async with aclosing(self._backend.stream(asked)) as pieces:
            async for piece in pieces:
                texts.append(piece.text)
                size += len(piece.text)
                finish = piece.finish or finish
                usage = piece.usage or usage
                if size > ANSWER_CHARACTERS_MAX:
                    message = f"{self.info.model} does not stop"
                    raise GenerationRefused(message, hint="Use another model.")
        text = "".join(texts)
        counted = usage or self._counted(asked, text)
        return Completion(text, finish, counted, exact=usage is not None)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._waiting >= self._options.waiting_max:
            raise Overloaded(
                f"{self._waiting} questions wait for {self.info.model} already",
                retry_after_seconds=OVERLOADED_SECONDS,
                limit=self._options.waiting_max,
            )
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    def _settle(self, permit: Permit, *, ok: bool | None) -> None:
        if ok is None:
            self._breaker.abandon(permit)
        else:
            self._breaker.settle(permit, ok=ok)

    def _late(self, attempts: int) -> GenerationTimedOut:
        # The breaker learns of silence here: a cancelled attempt could not tell.
        permit = self._breaker.enter()
        if isinstance(permit, Permit) and not attempts:
            self._breaker.abandon(permit)
        elif isinstance(permit, Permit):
            self._breaker.settle(permit, ok=False)
        seconds = self._options.deadline_seconds
        return GenerationTimedOut(f"{self.info.model} did not answer in {seconds:g} s")

    def _counted(self, asked: Ask, text: str) -> Usage:
        prompt = "\n".join(message.content for message in asked.messages)
        return Usage(self._count_tokens(prompt), self._count_tokens(text))

    def _account(
        self,
        asked: Ask,
        made: Completion | None,
        how: tuple[str, float, int],
        told: Told | None,
    ) -> None:
        outcome, started, attempts = how
        call = ModelCall(
            info=self.info,
            asked=asked,
            outcome=outcome,
            seconds=self._clock.monotonic() - started,
            attempts=attempts,
            usage=Usage(0, 0) if made is None else made.usage,
            exact=made is not None and made.exact,
            text="" if made is None else made.text,
        )
        for observer in (self._options.observe, told):
            if observer is not None:
                observer(call)


def _repair(asked: Ask, answer: str, unfit: Unfit) -> Ask:
    """Return the question with the answer and what is wrong with it."""
    wrong = "\n".join(f"- {one}" for one in unfit.problems)
    told = (
        f"That answer cannot be used:\n{wrong}\n"
        "Answer again with the corrected JSON object only."
    )
    more = (
        ChatMessage(Role.ASSISTANT, answer[:REPAIRED_CHARACTERS_MAX] or "{}"),
        ChatMessage(Role.USER, told),
    )
    return replace(asked, messages=(*asked.messages, *more), temperature=0.0)
