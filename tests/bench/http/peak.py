"""Answers a second of each server at full load, by turns."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.http import rivals, sample, tools, wrk
from tests.bench.http.cores import Cores
from tests.bench.http.freshets import Bench, Manage, World
from tests.bench.http.process import cpu_seconds, resident

RELEASES = 100
OURS = {
    "Freshet": "As `manage.py run` starts it: fast lane, uvloop, access log summed up.",
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
    """What came of it; `samples` are what all answered, `left_out` says what and why."""

    rows: list[Row]
    samples: dict[str, sample.Sample]
    left_out: list[str]

    def row(self, name: str) -> Row | None:
        return next((each for each in self.rows if each.name == name), None)


def measure(
    cores: Cores, world: World, folder: Path, rounds: int, seconds: int, only: str
) -> Peaks:
    """Every server whose name holds `only` (and Freshet) has its turn in every round."""
    with ExitStack() as stack:
        ours = _start_ours(cores, world, stack, only)
        samples = {case: sample.take(ours[0].port, case) for case in sample.CASES}
        sample.write(samples, folder)
        theirs, left_out = _start_theirs(cores, samples, folder, stack, only)
        rows = ours + theirs
        for number in range(rounds):
            for case, (_, coding) in sample.CASES.items():
                for row in rows[number % len(rows) :] + rows[: number % len(rows)]:
                    before = cpu_seconds(row.process.pid)
                    done = wrk.load(cores, row.port, row.path(case), seconds, coding)
                    spent = cpu_seconds(row.process.pid) - before
                    row.loads.setdefault(case, []).append(done)
                    row.costs.setdefault(case, []).append(1e6 * spent / (done.rate * seconds))
        for row in ours:
            row.memory = resident(row.process.pid)
    return Peaks(rows, samples, left_out)


def _start_ours(cores: Cores, world: World, stack: ExitStack, only: str) -> list[Row]:
    url = world.new_database("peak")

    def environment(**settings: str) -> dict[str, str]:
        return world.environment(url, RELEASES, **settings)

    world.sync(environment())
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


def _start_theirs(
    cores: Cores, samples: dict[str, sample.Sample], folder: Path, stack: ExitStack, only: str
) -> tuple[list[Row], list[str]]:
    rows, left_out, packages = [], [], tools.packages()
    for rival in (*rivals.RIVALS, rivals.NGINX):
        if only not in rival.name:
            continue
        absent = rivals.missing(rival, packages)
        if absent:
            left_out.append(f"{rival.name}: {', '.join(absent)} not installed")
            continue
        try:
            server = rivals.Running(cores, rival, samples, folder)
        except RuntimeError as error:
            left_out.append(f"{rival.name}: {error}")
            continue
        stack.callback(server.close)
        rows.append(Row(rival.name, rival.about, server.port, server.process, is_ours=False))
    return rows, left_out
