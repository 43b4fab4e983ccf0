"""What models take of the machine: shown, warmed, scaled, and made to save power."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError
from cortex.foundation.garbage import CollectorStatus
from cortex.foundation.ids import IdSource
from cortex.foundation.leftovers import Cleaned
from cortex.foundation.tenancy import (
    DEFAULT_NAMESPACE,
    DEFAULT_TENANT,
    Namespace,
    Principal,
)
from cortex.inference.engine import Engine
from cortex.inference.media.catalogue import MEDIA_MODELS
from cortex.inference.pool import Applied, PoolStatus
from cortex.inference.power import BY_SCHEDULE, PowerMode, PowerStatus
from cortex.usecases.configuration import AUTOMATIC
from cortex.usecases.model import CallContext

POWER_KEY = "inference.power"
"""The setting that a switch of power stands for."""

REASON_CHARACTERS_MAX = 200
"""Characters of a reason: it is kept in an event and in the ledger."""

Announce = Callable[[str, Namespace, Mapping[str, JsonValue], CallContext], None]


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """How the process looks after its memory and its files.

    Attributes:
        resident_bytes: memory the process has now; 0 where that is not known.
        collector: how garbage is collected.
        cleaned: temporary files removed since the start.
    """

    resident_bytes: int
    collector: CollectorStatus
    cleaned: Cleaned


@dataclass(frozen=True, slots=True)
class InferenceStatus:
    """Everything about models that an operator looks at.

    Attributes:
        power: whether power is saved, and by whose word.
        pool: worker processes of the active model.
        memory_bytes: cost of all loaded models.
        memory_bytes_max: what they may cost.
        housekeeping: memory and files of the process.
    """

    power: PowerStatus
    pool: PoolStatus
    memory_bytes: int
    memory_bytes_max: int
    housekeeping: Housekeeping


@dataclass(frozen=True, slots=True)
class InferenceParts:
    """What the control works with.

    Attributes:
        pool: tells about the worker processes.
        apply: starts and stops them.
        power: tells whether power is saved.
        switch: asks for another mode.
        housekeeping: tells about the process.
    """

    engine: Engine
    pool: Callable[[], PoolStatus]
    apply: Callable[[str, int, str], Awaitable[Applied]]
    power: Callable[[], PowerStatus]
    switch: Callable[[PowerMode, str], PowerStatus]
    housekeeping: Callable[[], Housekeeping]


class InferenceControl:
    """Shows and changes what models take; each change becomes an event."""

    def __init__(self, parts: InferenceParts, announce: Announce) -> None:
        """Take what is controlled and where changes are told."""
        self._parts = parts
        self._announce = announce

    async def status(self) -> InferenceStatus:
        """Return how it stands."""
        engine = self._parts.engine
        return InferenceStatus(
            power=self._parts.power(),
            pool=self._parts.pool(),
            memory_bytes=engine.memory_bytes,
            memory_bytes_max=engine.memory_bytes_max,
            housekeeping=self._parts.housekeeping(),
        )

    async def warm(self, name: str) -> float:
        """Load a model; return the seconds that took. An empty name is the active one.

        Raises:
            UnknownModel: there is none of this name.
            ModelUnusable: it does not load.
            Overloaded: models in use leave no room for it.
            ValidationError: it reads files, and loads in the process that does.
        """
        if name in MEDIA_MODELS:
            message = f"{name} loads with the first file that needs it"
            hint = "Send one to /embed/multimodal: the process that reads it keeps it."
            raise ValidationError(message, hint=hint, field="model")
        return await self._parts.engine.warm(name or self._parts.pool().target)

    async def scale(
        self, principal: Principal, replicas: int, reason: str, context: CallContext
    ) -> Applied:
        """Start or stop worker processes of the active model.

        Raises:
            ValidationError: the number or the reason is out of range.
            Unavailable: new processes did not come up in time.
        """
        _check_reason(reason)
        applied = await self._parts.apply(self._parts.pool().target, replicas, reason)
        facts: dict[str, JsonValue] = {
            "target": f"inference:{applied.target}",
            "replicas_before": applied.before,
            "replicas_after": applied.after,
            "reason": applied.reason,
            "simulated": False,
        }
        self._announce("scaling.triggered", _home(principal), facts, context)
        return applied

    async def switch_power(
        self, principal: Principal, mode: PowerMode, reason: str, context: CallContext
    ) -> PowerStatus:
        """Save power, stop saving it, or follow the schedule.

        Raises:
            ValidationError: there is no schedule to follow, or the reason is too long.
        """
        _check_reason(reason)
        status = self._parts.switch(mode, reason or context.actor)
        facts: dict[str, JsonValue] = {
            "keys": [POWER_KEY],
            "revision": str(mode),
            "reason": reason,
        }
        self._announce("config.changed", _home(principal), facts, context)
        return status


@dataclass(frozen=True, slots=True)
class SwitchHeard:
    """Tells of switches of power; those of the schedule have no caller who could.

    Attributes:
        log: writes a line for each switch.
        tell: announces what is of no namespace.
        ids: makes the id that an event of the schedule is found by.
    """

    log: Callable[..., object]
    tell: Callable[[str, tuple[str, str], Mapping[str, JsonValue], CallContext], object]
    ids: IdSource

    def __call__(self, status: PowerStatus) -> None:
        """Write the line; announce what the schedule did."""
        self.log("power switched", low=status.low, reason=status.reason)
        if status.reason != BY_SCHEDULE:
            return
        facts: dict[str, JsonValue] = {
            "keys": [POWER_KEY],
            "revision": "low" if status.low else "normal",
            "actor": AUTOMATIC,
            "reason": status.reason,
        }
        context = CallContext(self.ids.new(), AUTOMATIC)
        self.tell("config.changed", (DEFAULT_TENANT, POWER_KEY), facts, context)


def shown(status: InferenceStatus) -> dict[str, JsonValue]:
    """Return the status as JSON."""
    housekeeping = status.housekeeping
    pool = asdict(status.pool)
    pool["workers"] = [dict(worker) for worker in pool["workers"]]
    return {
        "power": shown_power(status.power),
        "pool": pool,
        "memory_bytes": status.memory_bytes,
        "memory_bytes_max": status.memory_bytes_max,
        "process": {
            "resident_bytes": housekeeping.resident_bytes,
            "gc_thresholds": list(housekeeping.collector.thresholds),
            "gc_frozen": housekeeping.collector.frozen,
            "gc_collections": list(housekeeping.collector.collections),
            "leftovers_removed": housekeeping.cleaned.files,
            "leftovers_removed_bytes": housekeeping.cleaned.bytes_,
        },
    }


def shown_power(status: PowerStatus) -> dict[str, JsonValue]:
    """Return the power status as JSON."""
    return {
        "mode": str(status.mode),
        "low": status.low,
        "hours": status.hours,
        "reason": status.reason,
        "since": status.since,
        "cost": None if status.cost is None else asdict(status.cost),
    }


def _home(principal: Principal) -> Namespace:
    return Namespace(principal.tenant, DEFAULT_NAMESPACE)


def _check_reason(reason: str) -> None:
    if len(reason) > REASON_CHARACTERS_MAX:
        message = f"a reason has at most {REASON_CHARACTERS_MAX} characters"
        raise ValidationError(message, field="reason", limit=REASON_CHARACTERS_MAX)
