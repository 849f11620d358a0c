"""Gauges of each process: leadership, database connections, memory, CPU and file descriptors.

Source: prometheus.io/docs/instrumenting/writing_clientlibs (the names of the process metrics).
"""

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from server.tasks import attempt_now

SYSTEM = {
    "process_resident_memory_bytes": "Resident memory of a process, in bytes.",
    "process_virtual_memory_bytes": "Virtual memory of a process, in bytes.",
    "process_open_fds": "Open file descriptors of a process, including sockets.",
    "process_max_fds": "Maximum number of open file descriptors of a process.",
    "process_start_time_seconds": "Start time of a process, in Unix seconds.",
}
CPU = "process_cpu_seconds"


class ProcessGauges:
    """Gauges labelled with the process's number, which are read by `refresh`.

    Processes that count in the same folder expose each other's gauges as of the last `refresh`.
    """

    def __init__(self, registry: CollectorRegistry, process: int) -> None:
        self._registry = registry
        self._process = str(process)
        self._readings: list[tuple[Gauge, Callable[[], float]]] = []
        self._system = ProcessCollector(registry=None)
        self._gauges = {name: self._gauge(name, text) for name, text in SYSTEM.items()}
        self._last: dict[Counter, float] = {}
        self._totals: list[tuple[Counter, Callable[[], float]]] = []
        self._cpu = self._counter(CPU, "CPU time used by a process, in seconds.")

    def add(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Register a gauge; `text` is its help text."""
        self._readings.append((self._gauge(name, text), read))

    def add_total(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Register a counter whose total is counted elsewhere; `text` is its help text."""
        self._totals.append((self._counter(name, text), read))

    def refresh(self) -> None:
        """Read all gauges and totals; those that the system lacks (macOS has no /proc) stay 0.

        A gauge that raises is logged, and its value becomes NaN.
        """
        for gauge, read in self._readings:
            gauge.set(attempt_now(read, math.nan))
        system = attempt_now(self._read_system, None) or {}
        for name, each in self._gauges.items():
            each.set(system.get(name, 0))
        self._count_up(self._cpu, system.get(CPU, 0.0))
        for counter, read in self._totals:
            self._count_up(counter, attempt_now(read, 0.0))

    def _count_up(self, counter: Counter, total: float) -> None:
        """Add the growth of `total` since the last call to a counter."""
        counter.inc(max(total - self._last.get(counter, 0.0), 0.0))
        self._last[counter] = total

    def _read_system(self) -> dict[str, float]:
        return {metric.name: metric.samples[0].value for metric in self._system.collect()}

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(
            name, text, ["process"], registry=self._registry, multiprocess_mode="livemax"
        ).labels(self._process)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, ["process"], registry=self._registry).labels(self._process)
