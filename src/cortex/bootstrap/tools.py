"""What every room of a process shares."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cortex.app import Phase
from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.operations.energy.meters import RequestMeters
from cortex.security.intrusion import Watch
from cortex.service.http.lines import Lines
from cortex.telemetry.errors import ErrorCollector
from cortex.telemetry.exposition import Exposition
from cortex.telemetry.log_files import LogFiles
from cortex.telemetry.logs import LeveledLogger
from cortex.telemetry.metrics import Metrics
from cortex.telemetry.tracing.tracer import Tracer
from cortex.telemetry.workers import Fleet, Workers


@dataclass(frozen=True, slots=True)
class Tools:
    """What every room of a process shares.

    Attributes:
        lines: in which requests wait their turn; None lets all begin at once.
        sources: the layer that each setting came from.
    """

    clock: Clock
    ids: IdSource
    log: LeveledLogger
    log_files: LogFiles | None
    metrics: Metrics
    tracer: Tracer
    errors: ErrorCollector
    exposition: Exposition
    workers: Workers | None
    fleet: Fleet | None
    phase: Phase
    watch: Watch
    lines: Lines | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    meters: RequestMeters = field(default_factory=RequestMeters)
