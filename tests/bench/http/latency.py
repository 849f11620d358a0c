"""Latency at half of the peak: Freshet left alone, and while it syncs on and on."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from statistics import median

from tests.bench.extent import Extent
from tests.bench.http import rivals, tools
from tests.bench.http.cores import Cores
from tests.bench.http.freshets import Bench, World
from tests.bench.http.sample import CASES

SHARE = 0.5  # of the peak
SMALLER = 0.8  # times the rate, if one cannot be made
LEAST = 0.98  # of a rate, to count as made
PATH = CASES["plain"][0]
NGINX_PATH = "/plain"
QUANTILES = ("p50", "p99", "p999")


@dataclass
class Latencies:
    """Milliseconds by quantile, a value a round; `burst` is what autocannon says, if anything.

    `albums` are those of a sync, `changed` those of them that change at a time. `stolen` are the
    shares of time in which the machine did not let a program go on that had one of the cores to
    itself.
    """

    wanted: float
    rate: float
    alone: list[dict[str, float]] = field(default_factory=list)
    syncing: list[dict[str, float]] = field(default_factory=list)
    nginx: list[dict[str, float]] = field(default_factory=list)
    stolen: list[float] = field(default_factory=list)
    syncs: int = 0
    empty_syncs: int = 0
    failed_syncs: int = 0
    albums: int = 0
    changed: int = 0
    burst: str = ""

    def median_of(self, rounds: list[dict[str, float]], quantile: str) -> float:
        return median(each[quantile] for each in rounds)

    @property
    def faults(self) -> list[str]:
        """Syncs that failed, or that there were none."""
        faults = {
            "no sync was made while requests were": not self.syncs + self.empty_syncs,
            f"{self.failed_syncs} syncs failed": self.failed_syncs,
        }
        return [text for text, holds in faults.items() if holds]


def measure(
    cores: Cores,
    world: World,
    nginx: rivals.Running | None,
    peak: float,
    extent: Extent,
    changed: int,
) -> Latencies:
    """By turns; so many albums have `changed` at each quarter of a second."""
    environment = world.environment(world.filled(extent.albums), extent.albums)
    seconds = extent.longer
    server = Bench(cores, environment, lane=True)
    try:
        wanted = peak * SHARE
        rate = _possible(cores, server.port, wanted)
        found = Latencies(wanted, rate, albums=extent.albums, changed=changed)
        for _ in range(extent.rounds):
            found.stolen += [stolen(cores, each, extent.stolen) for each in cores.pair]
            if nginx is not None:
                found.nginx.append(steady(cores, nginx.port, found.rate, seconds, NGINX_PATH))
            found.alone.append(steady(cores, server.port, found.rate, seconds))
            world.standin.tell("change", count=changed)
            server.tell("sync")
            try:
                found.syncing.append(steady(cores, server.port, found.rate, seconds))
            finally:
                counts = server.tell("rest")
                world.standin.tell("change", count=0)
            found.syncs += counts["complete"]
            found.empty_syncs += counts["empty"]
            found.failed_syncs += counts["failed"]
        found.burst = autocannon(cores, server.port, found.rate, seconds)
    finally:
        server.close()
    return found


def stolen(cores: Cores, core: int, seconds: float) -> float:
    """The share of so long that a program that did nothing else did not get of a core."""
    command = [sys.executable, "-m", "tests.bench.http.stolen", str(seconds)]
    return float(cores.run(command, core, seconds=seconds * 4 + 10))


def steady(
    cores: Cores, port: int, rate: float, seconds: float, path: str = PATH
) -> dict[str, float]:
    """Milliseconds by quantile, the rate that was made, and the generator's share of its core.

    Raises a SubprocessError.
    """
    command = [str(tools.STEADY), str(port), str(rate), str(seconds), path]
    made: dict[str, float] = json.loads(cores.run(command, cores.load, seconds=seconds * 4 + 30))
    return made


def _possible(cores: Cores, port: int, wanted: float) -> float:
    """The rate that is wanted, or the highest below it that one core can ask at."""
    rate = wanted
    while rate > 100:
        try:
            if steady(cores, port, rate, 1.0)["rate"] >= LEAST * rate:
                return rate
        except subprocess.SubprocessError:
            pass
        rate *= SMALLER
    return rate


def autocannon(cores: Cores, port: int, rate: float, seconds: float) -> str:
    """What autocannon finds at this rate, in words."""
    version = tools.autocannon()
    if version is None:
        return "autocannon is not installed, and left out."
    command = [tools.program("node"), str(tools.AUTOCANNON), "--json", "--no-progress"]
    command += ["-c", "32", "-d", f"{max(round(seconds), 3)}", "-R", f"{rate:.0f}"]
    done = json.loads(
        cores.run([*command, f"http://127.0.0.1:{port}{PATH}"], cores.load, seconds=seconds + 60)
    )
    times = done["latency"]
    return (
        f"autocannon {version} -R {rate:.0f} reached {done['requests']['average']:.0f}/s: "
        f"p50 {times['p50']:g}, p99 {times['p99']:g}, p99.9 {times['p99_9']:g} ms "
        f"({done['errors'] + done['non2xx'] + done['timeouts']} errors). It sends the requests of "
        "each second in one burst and rounds to whole milliseconds, so it measures the latency at "
        "full load; that is why the table above does not use it."
    )
