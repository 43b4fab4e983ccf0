"""Energy and memory of NVIDIA cards, by NVML (the extra ``gpu``).

Cards since Volta count their energy in millijoules; older ones tell only their power
of the moment, which is taken for the whole interval. A card's energy is told beside
the processors' and not shared out over requests: NVML does not say whose work it was.

Shown against a made-up library, not against a card: see docs/how-to/energy.md.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from cortex.operations.energy.model import Drawn, Interval
from cortex.operations.errors import PowerUnavailable

SOURCE = "nvml"

_MILLI = 1e-3


class NvmlPower:
    """Reads every card of the machine."""

    def __init__(self, library: Any) -> None:
        """Take the initialised library (``pynvml``).

        Raises:
            PowerUnavailable: there is no driver or no card.
        """
        self._nvml = library
        try:
            library.nvmlInit()
            count = library.nvmlDeviceGetCount()
            self._cards = [library.nvmlDeviceGetHandleByIndex(n) for n in range(count)]
        except library.NVMLError as error:
            message = f"NVML finds no card: {error}"
            raise PowerUnavailable(message, hint="Is the driver loaded?") from error
        if not self._cards:
            raise PowerUnavailable("NVML finds no card")
        self._last = [self._counter(card) for card in self._cards]

    def drawn(self, interval: Interval) -> Sequence[Drawn]:
        """Return what the cards took since the last call."""
        joules = 0.0
        for number, card in enumerate(self._cards):
            now, last = self._counter(card), self._last[number]
            self._last[number] = now
            if now is not None and last is not None:
                joules += max(0.0, now - last)
            else:
                joules += self._watts(card) * interval.seconds
        return (
            Drawn("gpu", joules, joules, joules, SOURCE, measured=True, shared=False),
        )

    def memory_ratios(self) -> list[float]:
        """Return how full each card's memory is; a card that fails is left out."""
        found = []
        for card in self._cards:
            memory = self._asked(self._nvml.nvmlDeviceGetMemoryInfo, card)
            if memory is not None and memory.total:
                found.append(memory.used / memory.total)
        return found

    def _counter(self, card: Any) -> float | None:
        counted = self._asked(self._nvml.nvmlDeviceGetTotalEnergyConsumption, card)
        return None if counted is None else counted * _MILLI

    def _watts(self, card: Any) -> float:
        power = self._asked(self._nvml.nvmlDeviceGetPowerUsage, card)
        return 0.0 if power is None else power * _MILLI

    def _asked(self, question: Callable[[Any], Any], card: Any) -> Any:
        try:
            return question(card)
        except self._nvml.NVMLError:
            return None


def open_nvml() -> NvmlPower:
    """Return the cards of this machine.

    Raises:
        PowerUnavailable: the extra is not installed, or there is no card.
    """
    try:
        library = importlib.import_module("pynvml")
    except ImportError as error:
        message = "the package nvidia-ml-py is not installed"
        hint = "Install it with: pip install 'cortex-context[gpu]'"
        raise PowerUnavailable(message, hint=hint) from error
    return NvmlPower(library)
