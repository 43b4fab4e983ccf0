"""Ties energy: the source that this machine has, meters, and figures for all."""

from collections.abc import Callable, Sequence

from cortex.bootstrap.tools import Tools
from cortex.operations.energy.carbon import open_carbon
from cortex.operations.energy.controller import Energy, PowerSource
from cortex.operations.energy.host import Host
from cortex.operations.energy.nvml import NvmlPower, open_nvml
from cortex.operations.energy.rapl import RaplPower
from cortex.operations.energy.stated import StatedPower
from cortex.operations.errors import PowerUnavailable
from cortex.settings import Settings
from cortex.telemetry.energy_metrics import EnergyMetrics, EnergySample, PartSample


class EnergyRoom:
    """Energy of one process; nothing runs by itself, the watch ticks it."""

    def __init__(
        self, settings: Settings, tools: Tools, leads: Callable[[], bool]
    ) -> None:
        """Open the sources; of several processes one ``leads`` and tells the machine's.

        Raises:
            PowerUnavailable: the settings name a source that is not there.
        """
        self._cards = _cards()
        self._leads = leads
        sources: list[PowerSource] = [_processors(settings)]
        if self._cards is not None:
            sources.append(self._cards)
        self.energy = Energy(
            sources,
            Host(),
            tools.meters,
            clock=tools.clock,
            grid_grams_per_kwh=settings.energy.grid_grams_per_kwh,
        )
        tools.metrics.registry.register(EnergyMetrics(self._sample))

    def gauges(self) -> dict[str, float | None]:
        """Return the figures that thresholds read as they are."""
        energy, cards = self.energy, self._memory_of_cards()
        return {
            "cpu_ratio": energy.busy_ratio,
            "memory_ratio": energy.memory_ratio,
            "gpu_memory_ratio": max(cards, default=None),
            "average_watts": energy.average_watts(),
        }

    def _memory_of_cards(self) -> Sequence[float]:
        return () if self._cards is None else self._cards.memory_ratios()

    def _sample(self) -> EnergySample:
        energy = self.energy
        totals = energy.totals
        return EnergySample(
            joules=totals.joules,
            background_joules=totals.background_joules,
            route_joules={n: r.joules for n, r in totals.routes.items()},
            watts=energy.report().power_watts,
            grams=energy.grams(totals.joules),
            parts=[
                PartSample(p.part, p.source, p.measured, p.joules)
                for p in totals.parts.values()
                if self._leads()
            ],
            cpu_ratio=energy.busy_ratio,
            memory_ratio=energy.memory_ratio,
            gpu_memory_ratios=self._memory_of_cards(),
        )


def _processors(settings: Settings) -> PowerSource:
    asked = settings.energy
    if asked.source == "codecarbon":
        return open_carbon()
    if asked.source == "rapl":
        return RaplPower()
    if asked.source == "auto":
        try:
            return RaplPower()
        except PowerUnavailable:
            pass  # most machines: virtual ones, and all where one is not root
    return StatedPower(asked.busy_watts)


def _cards() -> NvmlPower | None:
    try:
        return open_nvml()
    except PowerUnavailable:
        return None
