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

_COUNTRY = "USA"
"""CodeCarbon wants a country for its emissions; ours come from the grid setting."""


class CarbonPower:
    """Energy by a tracker that was started."""

    def __init__(self, tracker: Any) -> None:
        """Take a started ``OfflineEmissionsTracker``."""
        self._tracker = tracker
        self._last = self._joules()

    def drawn(self, interval: Interval) -> Sequence[Drawn]:
        """Return what the tracker adds up since the last call."""
        del interval
        self._tracker.flush()
        now = self._joules()
        joules, self._last = max(0.0, now - self._last), now
        low, high = joules / BAND_FACTOR, joules * BAND_FACTOR
        return (Drawn("cpu", joules, low, high, SOURCE, measured=False),)

    def _joules(self) -> float:
        data = self._tracker.final_emissions_data
        if data is None:
            return 0.0
        return (float(data.cpu_energy) + float(data.ram_energy)) * JOULES_PER_KWH


def open_carbon() -> CarbonPower:
    """Start a tracker for this machine.

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
        save_to_file=False,
        log_level="error",
        tracking_mode="machine",
    )
    tracker.start()
    return CarbonPower(tracker)
