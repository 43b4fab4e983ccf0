"""When a supervisor of worker processes replaces them, and when it gives up."""

import multiprocessing
import os
import signal

import pytest

from cortex.service.http.workers import REFUSED, RESTART_LIMIT, Flag, Supervisor

SPAWN = multiprocessing.get_context("spawn")


class Child:
    """A process that ends at once with a status, or goes on until told to end."""

    def __init__(self, served: Flag, status: int | None, serves: bool) -> None:
        self.exitcode = None
        self._status, self._serves, self._served = status, serves, served
        self.sentinel, self._end = os.pipe()

    def start(self) -> None:
        if self._serves:
            self._served.set()

    def is_alive(self) -> bool:
        if self.exitcode is not None:
            return False
        if self._status is not None:
            self._ended(self._status)  # It was alive, and the sentinel tells its end.
        return True

    def terminate(self) -> None:
        if self.exitcode is None:
            self._ended(0)

    def join(self, timeout: float | None = None) -> None:
        del timeout

    def _ended(self, status: int) -> None:
        self.exitcode = status
        os.close(self._end)

    def close(self) -> None:
        os.close(self.sentinel)


def outcome(children: list[tuple[int | None, bool]]) -> tuple[int, int]:
    """Run children one after another; return the status and how many were started.

    After the last one the process is told to stop.
    """
    served = Flag(SPAWN)
    started = []

    def start() -> Child:
        if len(started) == len(children):
            os.kill(os.getpid(), signal.SIGTERM)
            child = Child(served, None, serves=True)
        else:
            child = Child(served, *children[len(started)])
        started.append(child)
        return child

    supervisor = Supervisor(start, served, workers=1, drain_seconds=0.0)  # type: ignore[arg-type]
    status = supervisor.run()
    for child in started:
        child.close()
    return status, len(started)


@pytest.fixture(autouse=True)
def _handlers():
    kept = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_a_child_that_cannot_start_ends_the_whole_at_once():
    assert outcome([(REFUSED, False)]) == (1, 1)


def test_children_that_never_serve_are_given_up():
    many = [(-9, False)] * (3 * RESTART_LIMIT)
    assert outcome(many) == (1, RESTART_LIMIT + 1)


def test_any_number_that_served_may_die():
    many = [(-9, True)] * (3 * RESTART_LIMIT)
    assert outcome(many) == (0, len(many) + 1)


def test_one_that_cannot_start_later_is_tried_again():
    assert outcome([(-9, True), (REFUSED, False), (REFUSED, False)]) == (0, 4)
