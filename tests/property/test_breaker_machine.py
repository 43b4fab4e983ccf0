"""Whatever happens to a breaker, it never lets two probes out and always recovers."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cortex.foundation.breaker import Breaker, BreakerPolicy, Permit, Phase, Refused
from cortex.testing.memory import VirtualClock

POLICY = BreakerPolicy(failures_in_a_row=3, window_calls=6, open_seconds=60)


class BreakerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.breaker = Breaker(self.clock, POLICY)
        self.out: list[Permit] = []

    @rule()
    def enter(self) -> None:
        before = self.breaker.state.phase
        answer = self.breaker.enter()
        if isinstance(answer, Refused):
            assert before is not Phase.CLOSED
            assert 0 < answer.retry_after_seconds <= POLICY.open_seconds
            return
        assert answer.probe == (before is not Phase.CLOSED)
        if answer.probe:
            waiting = any(p.generation == answer.generation for p in self.out)
            assert not waiting
        self.out.append(answer)

    @rule(data=st.data(), ok=st.booleans())
    def settle(self, data: st.DataObject, ok: bool) -> None:
        if self.out:
            at = data.draw(st.integers(0, len(self.out) - 1))
            self.breaker.settle(self.out.pop(at), ok=ok)

    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        if self.out:
            at = data.draw(st.integers(0, len(self.out) - 1))
            self.breaker.abandon(self.out.pop(at))

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # One probe at most, and never open without enough failures.
    @invariant()
    def is_open_only_for_a_reason(self) -> None:
        state = self.breaker.state
        if state.phase is Phase.CLOSED:
            assert state.failures < POLICY.failures_in_a_row
        assert len(state.outcomes) <= POLICY.window_calls

    def teardown(self) -> None:
        self.clock.advance(POLICY.open_seconds + 1)
        permit = self.breaker.enter()
        assert isinstance(permit, Permit)
        self.breaker.settle(permit, ok=True)
        assert self.breaker.state.phase is Phase.CLOSED


TestBreaker = BreakerMachine.TestCase
