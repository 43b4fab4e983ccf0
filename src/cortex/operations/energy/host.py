"""What the machine and this process did, as Linux tells it under /proc.

Elsewhere only the process' own CPU time is known; then it counts as all there was.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from time import process_time

PROC = Path("/proc")

_IDLE_FIELDS = (3, 4)
"""Fields of the line ``cpu`` that are no work: idle and waiting for disks (proc(5))."""

_GUEST_FIELDS = 8
"""Fields from here on count guests, who are in the first two already."""


@dataclass(frozen=True, slots=True)
class HostReading:
    """Cumulative CPU seconds, and memory now; None where nobody tells."""

    busy_seconds: float
    own_seconds: float
    memory_ratio: float | None


class Host:
    """Reads CPU time and memory."""

    def __init__(self, proc: Path = PROC, own_seconds: float | None = None) -> None:
        """Read below ``proc``; a test may state the process' own time."""
        self._proc = proc
        self._own = own_seconds
        self.cpus = os.cpu_count() or 1
        self._ticks = float(os.sysconf("SC_CLK_TCK"))

    def read(self) -> HostReading:
        """Return the present figures."""
        own = self._own_seconds() if self._own is None else self._own
        busy = self._busy_seconds()
        return HostReading(own if busy is None else busy, own, self._memory())

    def _own_seconds(self) -> float:
        times = os.times()
        ended = times.children_user + times.children_system
        return process_time() + ended + self._children()

    def _children(self) -> float:
        """Return the CPU time of child processes that run."""
        total = 0.0
        for listing in self._proc.glob("self/task/*/children"):
            for child in _text(listing).split():
                stat = _text(self._proc / child / "stat")
                # The name may hold spaces and brackets; what follows it does not.
                fields = stat.rpartition(")")[2].split()
                if len(fields) > 12:  # noqa: PLR2004 - utime and stime, see proc(5)
                    total += (float(fields[11]) + float(fields[12])) / self._ticks
        return total

    def _busy_seconds(self) -> float | None:
        line = _text(self._proc / "stat").partition("\n")[0].split()
        if not line or line[0] != "cpu":
            return None
        fields = [float(value) for value in line[1 : _GUEST_FIELDS + 1]]
        idle = sum(fields[n] for n in _IDLE_FIELDS if n < len(fields))
        return (sum(fields) - idle) / self._ticks

    def _memory(self) -> float | None:
        found: dict[str, float] = {}
        for line in _text(self._proc / "meminfo").splitlines():
            name, _, rest = line.partition(":")
            if name in {"MemTotal", "MemAvailable"} and rest.split():
                found[name] = float(rest.split()[0])
        total, free = found.get("MemTotal"), found.get("MemAvailable")
        return None if not total or free is None else 1.0 - free / total


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
