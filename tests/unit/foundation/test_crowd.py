"""A line over virtual time: bursts are served, standing crowds are told to come back."""

import heapq
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from cortex.foundation.crowd import Line, LineOptions, Refusal, Ticket

OPTIONS = LineOptions()


class Server:
    """Work that takes a second for every ``rate`` requests, in arrival order."""

    def __init__(self, rate: float, options: LineOptions = OPTIONS) -> None:
        self.line = Line("requests", options)
        self.each = 1 / rate
        self.free_at = 0.0
        self.ends: list[tuple[float, int, Ticket]] = []
        self.waits: dict[str, list[float]] = {}
        self.refused: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    def run_until(self, now: float) -> None:
        while self.ends and self.ends[0][0] <= now:
            at, _, ticket = heapq.heappop(self.ends)
            self.done[ticket.who] += 1
            self.line.leave(ticket, at)

    def ask(self, who: str, now: float) -> bool:
        self.run_until(now)
        ticket = self.line.arrive(who, now)
        if isinstance(ticket, Refusal):
            self.refused[who] += 1
            return False
        if ticket.began is not None:
            self.begin(ticket)
        else:
            ticket.called = lambda: self.begin(ticket)
        return True

    def begin(self, ticket: Ticket) -> None:
        if ticket.began is None:
            assert ticket.refused is Refusal.STANDING
            self.refused[ticket.who] += 1
            return
        self.free_at = max(self.free_at, ticket.began) + self.each
        heapq.heappush(self.ends, (self.free_at, id(ticket), ticket))
        took = self.free_at - ticket.arrived
        self.waits.setdefault(ticket.who, []).append(took)


def load(server: Server, rates: dict[str, float], start: float, seconds: float) -> None:
    """Send each tenant's requests at its rate, evenly."""
    due = [
        (start + number / rate, who)
        for who, rate in rates.items()
        for number in range(round(rate * seconds))
    ]
    for at, who in sorted(due):
        server.ask(who, at)


def p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


def test_a_usual_load_neither_waits_nor_is_refused():
    server = Server(200)
    load(server, {"a": 20}, 0.0, 60.0)
    assert not server.refused
    assert max(server.waits["a"]) < 0.01


@pytest.mark.parametrize("rate", [20, 200])
def test_a_hundred_clients_who_wait_for_their_answers_are_never_refused(rate):
    server = Server(rate)
    at = 0.0
    assert all(server.ask("a", at) for _ in range(100))
    for _ in range(900):
        at = server.ends[0][0]
        assert server.ask("a", at), "each asks again when it is answered"
    assert not server.refused


def test_a_short_burst_of_hundreds_is_served():
    server = Server(400)
    assert all(server.ask("a", 0.0) for _ in range(300))
    server.run_until(10.0)
    assert server.done["a"] == 300


@pytest.mark.parametrize("times", [2, 4, 16])
def test_beyond_saturation_waits_are_bounded_and_work_goes_on(times):
    server = Server(200)
    load(server, {"a": 200 * times}, 0.0, 20.0)
    assert p95(server.waits["a"]) <= 1.0
    assert max(server.waits["a"]) <= 1.0 + 0.5 * times
    assert server.done["a"] >= 0.95 * 200 * 20
    server.run_until(30.0)
    before = server.refused["a"]
    load(server, {"a": 20}, 30.0, 10.0)
    assert server.refused["a"] == before, "nobody is refused when it is over"
    assert not server.line.stands(40.0)


def test_who_asks_for_little_is_served_beside_who_asks_for_all():
    server = Server(200)
    load(server, {"flood": 1_000, "quiet": 20, "other": 50}, 0.0, 20.0)
    assert server.refused["quiet"] == server.refused["other"] == 0
    assert p95(server.waits["quiet"]) <= 1.0
    assert server.refused["flood"] > 10_000


def test_who_waits_too_long_leaves_and_is_not_called():
    line = Line("requests", replace(OPTIONS, places=1, places_min=1))
    first = line.arrive("a", 0.0)
    second = line.arrive("a", 0.0)
    called = []
    second.called = lambda: called.append(second)
    assert line.waiting == 1
    assert line.forsake(second)
    assert not line.forsake(second)
    assert line.waiting == 0
    line.leave(first, 1.0)
    assert not called


def test_a_line_where_nothing_moves_refuses_too():
    line = Line("requests", replace(OPTIONS, hold_seconds_max=100))
    told = [line.arrive("a", number / 100) for number in range(300)]
    assert told[-1] is Refusal.STANDING
    assert not isinstance(told[111], Refusal)


def test_the_line_is_bounded_whatever_the_times():
    line = Line("requests", replace(OPTIONS, waiting_max=200))
    told = [line.arrive("a", 0.0) for _ in range(400)]
    assert line.waiting == 200
    assert told[-1] is Refusal.FULL


def test_a_place_held_for_too_long_is_given_on():
    line = Line("requests", replace(OPTIONS, places=2))
    for _ in range(2):
        line.arrive("a", 0.0)
    waiting = line.arrive("a", 1.0)
    assert waiting.began is None
    line.arrive("a", OPTIONS.hold_seconds_max + 0.1)
    assert waiting.began is not None


def test_a_late_loop_halves_the_places_and_a_quick_one_gives_them_back():
    line = Line("requests", OPTIONS)
    for _ in range(10):
        line.feel(0.5)
    assert line.places == OPTIONS.places_min
    told = [line.arrive("a", float(n)) for n in range(112)]
    assert not any(isinstance(one, Refusal) for one in told), "as many may wait as ever"
    for _ in range(10):
        line.feel(0.0)
    assert line.places == OPTIONS.places


class Everyone(RuleBasedStateMachine):
    """Whatever happens in a line: nobody is lost, and its bounds hold."""

    def __init__(self) -> None:
        super().__init__()
        bounds = LineOptions(places=4, places_min=1, burst=3, waiting_max=9)
        self.line = Line("requests", bounds)
        self.now = 0.0
        self.waiting: dict[int, Ticket] = {}
        self.working: dict[int, Ticket] = {}
        self.paused: dict[int, Ticket] = {}
        self.resumed = 0

    def begin(self, ticket: Ticket) -> None:
        del self.waiting[id(ticket)]
        if ticket.refused is None:
            self.working[id(ticket)] = ticket

    @rule(who=st.integers(0, 4), passed=st.floats(0.0, 2.0))
    def arrive(self, who: int, passed: float) -> None:
        self.now += passed
        told = self.line.arrive(f"tenant-{who}", self.now)
        if isinstance(told, Ticket) and told.began is None:
            told.called = lambda: self.begin(told)
            self.waiting[id(told)] = told
        elif isinstance(told, Ticket):
            self.working[id(told)] = told

    @precondition(lambda self: self.working)
    @rule(data=st.data(), passed=st.floats(0.0, 2.0))
    def leave(self, data, passed: float) -> None:
        self.now += passed
        key = data.draw(st.sampled_from(list(self.working)))
        self.line.leave(self.working.pop(key), self.now)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def forsake(self, data) -> None:
        key = data.draw(st.sampled_from(list(self.waiting)))
        assert self.line.forsake(self.waiting.pop(key))

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def pause(self, data) -> None:
        key = data.draw(st.sampled_from(list(self.working)))
        self.paused[key] = self.working.pop(key)
        self.line.pause(self.paused[key])
        self.line.settle(self.now)

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self) -> None:
        key, ticket = self.paused.popitem()
        self.working[key] = ticket
        self.line.resume(ticket)
        self.resumed += 1

    @rule(late=st.floats(0.0, 0.3))
    def feel(self, late: float) -> None:
        self.line.feel(late)

    @invariant()
    def counts_are_true(self) -> None:
        assert self.line.waiting == len(self.waiting)
        assert self.line.working <= len(self.working)
        assert self.line.working <= 4 + self.resumed
        assert self.line.waiting <= 9 + 5

    def teardown(self) -> None:
        for ticket in self.paused.values():
            self.line.leave(ticket, self.now)
        while self.working:
            self.line.leave(self.working.popitem()[1], self.now)
        assert not self.waiting, "all who waited were called when places came free"


TestEveryone = Everyone.TestCase
