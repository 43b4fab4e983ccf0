"""CPU time by request: what its own steps and the threads it hands work to use.

An event loop interleaves requests, so a clock around one also counts the others.
``Metered`` measures each step of one coroutine instead, and ``charged`` lets work on
other threads count for the request that asked for it. CPU time is no clock: it is what
the machine did, and tests need not turn it back.
"""

import contextlib
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from time import thread_time
from typing import Any, TypeVar

T = TypeVar("T")


class CpuMeter:
    """CPU seconds of one piece of work, on whatever threads it ran."""

    __slots__ = ("cpu_seconds",)

    def __init__(self) -> None:
        """Start at zero."""
        self.cpu_seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count CPU time."""
        self.cpu_seconds += seconds


_CURRENT: ContextVar[CpuMeter | None] = ContextVar("cortex_cpu_meter", default=None)


class Metered:
    """Awaits something and counts the CPU time of each of its steps."""

    __slots__ = ("_awaited", "_meter")

    def __init__(self, awaited: Awaitable[None], meter: CpuMeter) -> None:
        """Take what to await and where to count."""
        self._awaited = awaited
        self._meter = meter

    def __await__(self) -> Generator[Any, Any, None]:
        """Step through; what is sent and thrown in passes on."""
        token = _CURRENT.set(self._meter)
        steps = self._awaited.__await__()
        advance: Callable[[], Any] = steps.__next__
        try:
            while True:
                began = thread_time()
                try:
                    waited_for = advance()
                except StopIteration:
                    return
                finally:
                    self._meter.add(thread_time() - began)
                advance = steps.__next__
                try:
                    yield waited_for
                except GeneratorExit:
                    steps.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - handed on, not handled
                    advance = _throwing(steps, error)
        finally:
            # Closed by another task, it has nothing to give back there.
            with contextlib.suppress(ValueError):
                _CURRENT.reset(token)


def charged(call: Callable[[], T]) -> Callable[[], T]:
    """Return ``call`` such that its CPU time counts for who asks now."""
    meter = _CURRENT.get()
    if meter is None:
        return call

    def run() -> T:
        began = thread_time()
        try:
            return call()
        finally:
            meter.add(thread_time() - began)

    return run


def _throwing(steps: Any, error: BaseException) -> Callable[[], Any]:
    def throw() -> Any:
        return steps.throw(error)

    return throw
