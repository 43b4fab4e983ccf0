"""Models' share of the machine on the wire."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from cortex.foundation.limits import NAME_CHARACTERS_MAX
from cortex.inference.pool import WORKERS_MAX
from cortex.inference.power import PowerMode
from cortex.service.fields import Integer, Wire
from cortex.usecases.inference_control import REASON_CHARACTERS_MAX

Reason = Annotated[str, StringConstraints(max_length=REASON_CHARACTERS_MAX)]
ModelName = Annotated[str, StringConstraints(max_length=NAME_CHARACTERS_MAX)]


class WarmBody(Wire):
    """POST /models/warm."""

    model: ModelName = ""


class WarmAnswer(Wire):
    """A model that is loaded now."""

    model: str
    seconds: float


class PowerBody(Wire):
    """PUT /inference/power."""

    mode: PowerMode
    reason: Reason = ""


class SavingCostAnswer(Wire):
    """What saving power gives and takes; shares of the CPU time and of the answers."""

    cpu_saved: float
    recall_lost: float
    source: str


class PowerAnswer(Wire):
    """Whether power is saved, and by whose word."""

    mode: PowerMode
    low: bool
    hours: str
    reason: str
    since: float
    cost: SavingCostAnswer | None


class WorkersBody(Wire):
    """PUT /inference/workers."""

    replicas: Annotated[Integer, Field(ge=0, le=WORKERS_MAX)]
    reason: Annotated[Reason, StringConstraints(min_length=1)]


class WorkersAnswer(Wire):
    """A change of the number of worker processes."""

    target: str
    before: int
    after: int
    reason: str


class InferenceAnswer(Wire):
    """GET /inference."""

    power: PowerAnswer
    pool: dict[str, Any]
    memory_bytes: int
    memory_bytes_max: int
    process: dict[str, Any]
