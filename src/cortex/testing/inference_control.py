"""The control of inference over a pool and an engine that run nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.garbage import collector_status
from cortex.foundation.leftovers import Cleaned
from cortex.foundation.tenancy import Namespace
from cortex.inference.engine import Engine
from cortex.inference.pool import Applied, PoolStatus
from cortex.inference.power import SAVING_COST, PowerControl, PowerMode
from cortex.inference.providers import shipped_entries
from cortex.inference.registry import Registry
from cortex.usecases.inference_control import (
    Housekeeping,
    InferenceControl,
    InferenceParts,
)
from cortex.usecases.model import CallContext


@dataclass
class FakePool:
    """Remembers what was applied."""

    target: str = "fake"
    wanted: int = 0
    applied: list[Applied] = field(default_factory=list)

    def status(self) -> PoolStatus:
        """Return the number asked for."""
        return PoolStatus(self.target, self.wanted, 0, 0, 0, ())

    async def apply(self, target: str, replicas: int, reason: str) -> Applied:
        """Take the number."""
        applied = Applied(target, self.wanted, replicas, reason)
        self.wanted = replicas
        self.applied.append(applied)
        return applied


def fake_control(
    clock: Clock,
    announce: Callable[[str, Namespace, Mapping[str, JsonValue], CallContext], None],
) -> InferenceControl:
    """Return a control whose only effects are its announcements."""
    pool = FakePool(target="hashing-384")
    hashing = [e for e in shipped_entries() if e.info.name == pool.target]
    power = PowerControl(PowerMode.NORMAL, "", clock=clock, savers=(), cost=SAVING_COST)
    parts = InferenceParts(
        engine=Engine(Registry(hashing), clock=clock),
        pool=pool.status,
        apply=pool.apply,
        power=lambda: power.status,
        switch=power.switch,
        housekeeping=lambda: Housekeeping(0, collector_status(), Cleaned()),
    )
    return InferenceControl(parts, announce)
