"""CPU time of requests, open and finished, by route."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cortex.foundation.metering import CpuMeter
from cortex.operations.energy.model import RouteUse


@dataclass(slots=True, eq=False)
class _Open:
    meter: CpuMeter
    route: Callable[[], str]
    taken: float = 0.0


class RequestMeters:
    """Meters of the requests of one process; for its event loop's thread."""

    def __init__(self) -> None:
        """Start without requests."""
        self._open: set[_Open] = set()
        self._used: dict[str, list[float]] = {}

    def begin(self, route: Callable[[], str]) -> tuple[CpuMeter, Callable[[], None]]:
        """Return a meter for a request, and what to call when it has ended.

        ``route`` returns the template of its route, once that is known.
        """
        opened = _Open(CpuMeter(), route)
        self._open.add(opened)

        def end() -> None:
            self._open.discard(opened)
            self._take(opened)
            self._used[opened.route()][0] += 1

        return opened.meter, end

    def drain(self) -> Mapping[str, RouteUse]:
        """Return what was used since the last call, of open requests too."""
        for opened in self._open:
            self._take(opened)
        used, self._used = self._used, {}
        return {name: RouteUse(int(n), cpu) for name, (n, cpu) in used.items()}

    def _take(self, opened: _Open) -> None:
        cpu = opened.meter.cpu_seconds
        line = self._used.setdefault(opened.route(), [0.0, 0.0])
        line[1] += cpu - opened.taken
        opened.taken = cpu
