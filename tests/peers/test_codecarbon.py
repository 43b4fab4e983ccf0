"""The real CodeCarbon, offline: what our driver asks of it, it answers."""

import socket
import threading
import time

import pytest

from cortex.operations.energy.carbon import open_carbon
from cortex.operations.energy.model import Interval

WAIT_SECONDS_MAX = 60.0
WATTS_MAX = 5_000.0
"""More than any machine of one board draws: a wrong unit would be a thousand off."""

WATTS_MIN = 0.05
INTERVALS = 20


def test_the_real_package_answers_offline_and_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def refuse(_: socket.socket, address: object) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    threads = threading.active_count()
    power = open_carbon()
    began = time.monotonic()
    deadline = began + WAIT_SECONDS_MAX
    joules = 0.0
    intervals = 0
    # Its figures are power by time: go on until there was some.
    while intervals < INTERVALS or (joules == 0 and time.monotonic() < deadline):
        interval = Interval(seconds=1.0, cpus=1, busy_seconds=1.0, own_seconds=1.0)
        [drawn] = power.drawn(interval)
        assert (drawn.part, drawn.source) == ("cpu", "codecarbon")
        assert not drawn.measured
        assert 0 <= drawn.low <= drawn.joules <= drawn.high
        joules += drawn.joules
        intervals += 1
    watts = joules / (time.monotonic() - began)
    assert WATTS_MIN < watts < WATTS_MAX
    assert asked == [], "offline means that nobody is asked"
    assert len(power._tracker._tasks) == 1
    assert threading.active_count() <= threads + 1, "its own watch, however long"
    power._tracker.stop_task()
