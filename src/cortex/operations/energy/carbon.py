"""CodeCarbon's offline tracker as a source (the extra ``codecarbon``).

Offline means that it looks nothing up on the network. It estimates processors by their
nominal power where it cannot measure, so its figures count as not measured. It tells
only of the whole machine or process tree; here it is asked for the machine.
"""

import importlib
from collections.abc import Sequence
from typing import Any

from cortex.operations.energy.model import JOULES_PER_KWH, Drawn, Interval
from cortex.operations.errors import PowerUnavailable

SOURCE = "codecarbon"
BAND_FACTOR = 2.0
"""Nominal power against real power: as wide as the stated model's own band."""

_TASK = "cortex"

_COUNTRY = "USA"
"""CodeCarbon wants a country for its emissions; ours come from the grid setting."""


class CarbonPower:
    """Energy by a tracker: each interval is one of its tasks."""

    def __init__(self, tracker: Any) -> None:
        """Take an ``OfflineEmissionsTracker``; it must not be started."""
        self._tracker = tracker
        self._tracker.start_task(_TASK)

    def drawn(self, interval: Interval) -> Sequence[Drawn]:
        """Return what the tracker adds up since the last call."""
        del interval
        used = self._tracker.stop_task()
        # The tracker keeps each task it ever had, and this one never ends.
        self._tracker._tasks.clear()  # noqa: SLF001  it has no other way
        self._tracker.start_task(_TASK)
        kilowatt_hours = 0.0 if used is None else used.cpu_energy + used.ram_energy
        joules = max(0.0, float(kilowatt_hours)) * JOULES_PER_KWH
        low, high = joules / BAND_FACTOR, joules * BAND_FACTOR
        return (Drawn("cpu", joules, low, high, SOURCE, measured=False),)


def open_carbon() -> CarbonPower:
    """Return a tracker for this machine.

    Raises:
        PowerUnavailable: the extra is not installed.
    """
    try:
        library = importlib.import_module("codecarbon")
    except ImportError as error:
        message = "the package codecarbon is not installed"
        hint = "Install it with: pip install 'cortex-context[codecarbon]'"
        raise PowerUnavailable(message, hint=hint) from error
    tracker = library.OfflineEmissionsTracker(
        country_iso_code=_COUNTRY,
        output_methods=[],
        log_level="error",
        tracking_mode="machine",
    )
    return CarbonPower(tracker)
