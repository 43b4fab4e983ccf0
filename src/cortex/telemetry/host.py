"""The process and its machine, looked at when somebody asks."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cortex.foundation.clock import Clock

Value: TypeAlias = tuple[str, float]

LAG_SECONDS = 0.5
"""Between two looks at how late the event loop is."""

_CPU_MODES = ("user", "system", "idle", "iowait", "steal", "nice")


class HostCollector(Collector):
    """CPU, memory, disk and network of the machine; threads of the process."""

    def __init__(self, home: Path) -> None:
        """Watch the disk that ``home`` is on."""
        self._home = home
        self._process = psutil.Process()

    def collect(self) -> Iterator[Metric]:
        """Return everything as it stands; what the system does not tell is left out."""
        yield _counters(
            "cortex_host_cpu_seconds",
            "CPU time of the machine, by mode",
            "mode",
            self._cpu,
        )
        yield _gauges(
            "cortex_host_memory_bytes",
            "Memory of the machine, by state",
            "state",
            self._memory,
        )
        yield _gauges(
            "cortex_host_disk_bytes",
            "Disk that CORTEX_HOME is on, by state",
            "state",
            self._disk,
        )
        yield _counters(
            "cortex_host_disk_io_bytes",
            "Bytes read from and written to disks",
            "direction",
            self._disk_io,
        )
        yield _counters(
            "cortex_host_network_bytes",
            "Bytes received and sent over networks",
            "direction",
            self._network,
        )
        yield GaugeMetricFamily(
            "cortex_host_load1",
            "Processes that run or wait, mean of a minute",
            value=psutil.getloadavg()[0],
        )
        yield GaugeMetricFamily(
            "cortex_host_cpus", "Processors of the machine", value=psutil.cpu_count()
        )
        yield GaugeMetricFamily(
            "cortex_process_threads",
            "Threads of this process",
            value=self._process.num_threads(),
        )

    def _cpu(self) -> Iterator[Value]:
        times = psutil.cpu_times()
        for mode in _CPU_MODES:
            seconds = getattr(times, mode, None)
            if seconds is not None:
                yield mode, float(seconds)

    def _memory(self) -> Iterator[Value]:
        memory = psutil.virtual_memory()
        yield "total", float(memory.total)
        yield "available", float(memory.available)
        yield "used", float(memory.total - memory.available)

    def _disk(self) -> Iterator[Value]:
        disk = psutil.disk_usage(str(self._home))
        yield "total", float(disk.total)
        yield "free", float(disk.free)
        yield "used", float(disk.used)

    def _disk_io(self) -> Iterator[Value]:
        counters = psutil.disk_io_counters()
        if counters is not None:
            yield "read", float(counters.read_bytes)
            yield "write", float(counters.write_bytes)

    def _network(self) -> Iterator[Value]:
        counters = psutil.net_io_counters()
        if counters is not None:
            yield "receive", float(counters.bytes_recv)
            yield "transmit", float(counters.bytes_sent)


class LoopLag:
    """Measures how late the event loop comes to what is due."""

    def __init__(self, clock: Clock, observe: Callable[[float], None]) -> None:
        """Take what is told of each look."""
        self._clock = clock
        self._observe = observe

    async def run(self) -> None:
        """Look twice a second, until cancelled."""
        while True:
            began = self._clock.monotonic()
            await self._clock.sleep(LAG_SECONDS)
            late = self._clock.monotonic() - began - LAG_SECONDS
            self._observe(max(0.0, late))


def _counters(
    name: str, text: str, label: str, read: Callable[[], Iterator[Value]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, amount in read():
        family.add_metric((value,), amount)
    return family


def _gauges(
    name: str, text: str, label: str, read: Callable[[], Iterator[Value]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, amount in read():
        family.add_metric((value,), amount)
    return family
