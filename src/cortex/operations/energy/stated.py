"""Power as a stated model: watts by how busy the processors are.

Per logical processor 0.74 W idle and 3.5 W busy, linear between: the averages that
Cloud Carbon Footprint takes from SPECpower results of server processors. Machines
differ by a factor of two either way, which is the band. Whoever knows what the machine
takes at full load states it, and gets a band of a quarter.
"""

from collections.abc import Sequence

from cortex.operations.energy.model import Drawn, Interval

IDLE_WATTS_PER_CPU = 0.74
BUSY_WATTS_PER_CPU = 3.5
BAND_FACTOR = 2.0
"""Between processors of one kind of work."""

STATED_BAND_FACTOR = 1.25
"""Around a figure that somebody stated for this machine."""

SOURCE = "model"


class StatedPower:
    """The model; always available, never measured."""

    def __init__(self, busy_watts: float = 0.0) -> None:
        """Take the machine's watts at full load; 0 takes the average per processor."""
        self._busy_watts = busy_watts

    def drawn(self, interval: Interval) -> Sequence[Drawn]:
        """Return the energy the processors took by the model."""
        busy = self._busy_watts or BUSY_WATTS_PER_CPU * interval.cpus
        idle = busy * IDLE_WATTS_PER_CPU / BUSY_WATTS_PER_CPU
        watts = idle + (busy - idle) * interval.busy_ratio
        joules = watts * interval.seconds
        factor = STATED_BAND_FACTOR if self._busy_watts else BAND_FACTOR
        low, high = joules / factor, joules * factor
        return (Drawn("cpu", joules, low, high, SOURCE, measured=False),)
