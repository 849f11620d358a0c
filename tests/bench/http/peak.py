"""Answers a second of each server at full load, by turns."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.extent import Extent
from tests.bench.http import rivals, sample, tools, wrk
from tests.bench.http.cores import Cores
from tests.bench.http.freshets import Bench, Manage, World
from tests.bench.http.process import cpu_seconds, resident

RELEASES = 100
OURS = {
    "Freshet": "As `manage.py run` starts it: fast lane, uvloop, summary access log.",
    "Freshet, ACCESS_LOG=all": "The same with a line of JSON written for each request.",
    "Freshet, no fast lane": "The same answers by Tornado's server and Freshet's handlers alone.",
}


@dataclass
class Row:
    """A server, and its loads by case, one a round; `memory` is in MB, of Freshet alone.

    `costs` are microseconds of the server's CPU time an answer, by case, one a round.
    """

    name: str
    about: str
    port: int
    process: Any
    is_ours: bool
    loads: dict[str, list[wrk.Load]] = field(default_factory=dict)
    costs: dict[str, list[float]] = field(default_factory=dict)
    memory: float = 0.0

    def path(self, case: str) -> str:
        return sample.CASES[case][0] if self.is_ours else f"/{case}"

    def rate(self, case: str) -> float:
        return median(each.rate for each in self.loads[case])

    def cost(self, case: str) -> float:
        return median(self.costs[case])

    def quantile(self, case: str, name: str) -> float:
        return median(float(getattr(each, name)) for each in self.loads[case])

    @property
    def errors(self) -> int:
        return sum(each.errors for loads in self.loads.values() for each in loads)


@dataclass
class Peaks:
    """What came of it; `samples` are what all answered, by case.

    `left_out` are servers that are not installed, `broken` those that are, and do not work.
    """

    rows: list[Row]
    samples: dict[str, sample.Sample]
    left_out: list[str]
    broken: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Servers that do not start or answer otherwise, and requests that failed."""
        wrong = [f"{each.name}: {each.errors} requests failed" for each in self.rows if each.errors]
        idle = [each.name for each in self.rows if not all(map(each.rate, self.samples))]
        return [*self.broken, *wrong, *(f"{name} answers nothing" for name in idle)]


def measure(cores: Cores, world: World, folder: Path, extent: Extent, only: str) -> Peaks:
    """Every server whose name holds `only` (and Freshet) has its turn in every round."""
    with ExitStack() as stack:
        ours = _start_ours(cores, world, stack, only)
        samples = {case: sample.take(ours[0].port, case) for case in extent.cases}
        sample.write(samples, folder)
        found = Peaks(ours, samples, [])
        _start_theirs(cores, found, folder, stack, only)
        rows = found.rows
        for number in range(extent.rounds):
            for case in samples:
                for row in rows[number % len(rows) :] + rows[: number % len(rows)]:
                    before = cpu_seconds(row.process.pid)
                    done = wrk.load(
                        cores, row.port, row.path(case), extent.seconds, sample.asked(case)
                    )
                    spent = cpu_seconds(row.process.pid) - before
                    row.loads.setdefault(case, []).append(done)
                    row.costs.setdefault(case, []).append(1e6 * spent / done.count)
        for row in ours:
            row.memory = resident(row.process.pid)
    return found


def _start_ours(cores: Cores, world: World, stack: ExitStack, only: str) -> list[Row]:
    url = world.filled(RELEASES)

    def environment(**settings: str) -> dict[str, str]:
        return world.environment(url, RELEASES, **settings)

    starts: dict[str, Callable[[], Any]] = {
        "Freshet": lambda: Manage(cores, environment(), cores.server),
        "Freshet, ACCESS_LOG=all": lambda: Manage(
            cores, environment(ACCESS_LOG="all"), cores.server
        ),
        "Freshet, no fast lane": lambda: Bench(cores, environment(), lane=False),
    }
    rows = []
    for name, start in starts.items():
        if only in name or name == "Freshet":
            server = start()
            stack.callback(server.close)
            rows.append(Row(name, OURS[name], server.port, server.process, is_ours=True))
    return rows


def _start_theirs(cores: Cores, found: Peaks, folder: Path, stack: ExitStack, only: str) -> None:
    packages = tools.packages()
    for rival in (*rivals.RIVALS, rivals.NGINX):
        if only not in rival.name:
            continue
        absent = rivals.missing(rival, packages)
        if absent:
            found.left_out.append(f"{rival.name}: {', '.join(absent)} not installed")
            continue
        try:
            server = rivals.Running(cores, rival, found.samples, folder)
        except RuntimeError as error:
            found.broken.append(f"{rival.name}: {error}")
            continue
        stack.callback(server.close)
        found.rows.append(Row(rival.name, rival.about, server.port, server.process, is_ours=False))
