"""Energy counters of the processor (RAPL), as Linux' powercap shows them.

``/sys/class/powercap/intel-rapl:N`` are packages, AMD's too; ``…:N:M`` their parts, of
which memory (``dram``) lies outside the package's own counter and is added. Counters
are in microjoules and wrap at ``max_energy_range_uj``. Since 2020 only root may read
them; a machine that does not let us has no RAPL.

Shown against a copied tree of files, not against a processor: see
docs/how-to/energy.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cortex.operations.energy.model import Drawn, Interval
from cortex.operations.errors import PowerUnavailable

POWERCAP = Path("/sys/class/powercap")
SOURCE = "rapl"

_JOULES_PER_COUNT = 1e-6


@dataclass(slots=True)
class _Zone:
    energy: Path
    wraps_at: int
    last: int


class RaplPower:
    """Reads the counters of all packages and their memory."""

    def __init__(self, powercap: Path = POWERCAP) -> None:
        """Find the counters and read them once.

        Raises:
            PowerUnavailable: there are none, or this user may not read them.
        """
        self._zones = [zone for zone in map(_zone, _folders(powercap)) if zone]
        if not self._zones:
            message = f"no readable RAPL counter below {powercap}"
            hint = "Let the service's user read energy_uj, or take the model."
            raise PowerUnavailable(message, hint=hint)

    def drawn(self, interval: Interval) -> Sequence[Drawn]:
        """Return what the packages took since the last call."""
        del interval
        joules = sum(_since(zone) for zone in self._zones) * _JOULES_PER_COUNT
        return (Drawn("cpu", joules, joules, joules, SOURCE, measured=True),)


def _folders(powercap: Path) -> list[Path]:
    """Return packages and the memory beside them."""
    found = []
    for folder in sorted(powercap.glob("intel-rapl:*")):
        parts = folder.name.count(":")
        name = _read(folder / "name")
        if (parts == 1 and name.startswith("package")) or name == "dram":
            found.append(folder)
    return found


def _zone(folder: Path) -> _Zone | None:
    energy = folder / "energy_uj"
    now, limit = _read(energy), _read(folder / "max_energy_range_uj")
    if not (now.isdigit() and limit.isdigit()):
        return None
    return _Zone(energy, int(limit), int(now))


def _since(zone: _Zone) -> int:
    text = _read(zone.energy)
    if not text.isdigit():
        return 0
    now = int(text)
    grown = now - zone.last if now >= zone.last else now + zone.wraps_at - zone.last
    zone.last = now
    return grown


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
