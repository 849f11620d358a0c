"""How each process is: its leadership, its hold on the database, and what it takes of the system.

Source: prometheus.io/docs/instrumenting/writing_clientlibs (the names of the process metrics).
"""

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from server.tasks import attempt_now

SYSTEM = {
    "process_resident_memory_bytes": "Memory of a process that is in RAM.",
    "process_virtual_memory_bytes": "Memory that a process has addresses for.",
    "process_open_fds": "File descriptors that a process has open, sockets among them.",
    "process_max_fds": "File descriptors that a process may have open.",
    "process_start_time_seconds": "When a process started, in Unix time.",
}
CPU = "process_cpu_seconds"


class ProcessGauges:
    """Gauges with the number of their process, which are read by `refresh`.

    Processes that count in the same folder tell each other's: as they were at the last `refresh`.
    """

    def __init__(self, registry: CollectorRegistry, process: int) -> None:
        self._registry = registry
        self._process = str(process)
        self._readings: list[tuple[Gauge, Callable[[], float]]] = []
        self._system = ProcessCollector(registry=None)
        self._gauges = {name: self._gauge(name, text) for name, text in SYSTEM.items()}
        self._told: dict[Counter, float] = {}
        self._totals: list[tuple[Counter, Callable[[], float]]] = []
        self._cpu = self._counter(CPU, "CPU time that a process has used.")

    def add(self, name: str, text: str, read: Callable[[], float]) -> None:
        """One more gauge; `text` is its sentence."""
        self._readings.append((self._gauge(name, text), read))

    def add_total(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a counter of something that is counted elsewhere; `text` is its sentence."""
        self._totals.append((self._counter(name, text), read))

    def refresh(self) -> None:
        """Read all of them; what the system does not tell (macOS has no /proc) stays 0.

        A reading that raises is logged, and shown as not a number.
        """
        for gauge, read in self._readings:
            gauge.set(attempt_now(read, math.nan))
        told = attempt_now(self._read_system, None) or {}
        for name, each in self._gauges.items():
            each.set(told.get(name, 0))
        self._count_up(self._cpu, told.get(CPU, 0.0))
        for counter, read in self._totals:
            self._count_up(counter, attempt_now(read, 0.0))

    def _count_up(self, counter: Counter, total: float) -> None:
        """Add what has come since the last time."""
        counter.inc(max(total - self._told.get(counter, 0.0), 0.0))
        self._told[counter] = total

    def _read_system(self) -> dict[str, float]:
        return {metric.name: metric.samples[0].value for metric in self._system.collect()}

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(
            name, text, ["process"], registry=self._registry, multiprocess_mode="livemax"
        ).labels(self._process)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, ["process"], registry=self._registry).labels(self._process)
