"""Answers a second of one process and of two; left out where `run` has no such option."""

import subprocess
import sys
from statistics import median

from server.config.addresses import ROOT
from tests.bench.extent import Extent
from tests.bench.http import wrk
from tests.bench.http.cores import Cores
from tests.bench.http.freshets import Manage, World
from tests.bench.http.peak import RELEASES
from tests.bench.http.sample import CASES

OPTION = "--processes"
PATH = CASES["plain"][0]


def is_possible() -> bool:
    command = [sys.executable, "manage.py", "run", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return OPTION in done.stdout


def measure(cores: Cores, world: World, extent: Extent) -> dict[int, float]:
    """Answers a second by number of processes, which share all cores with the load.

    Raises RuntimeError if a request fails.
    """
    environment = world.environment(world.filled(RELEASES), RELEASES)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(extent.rounds):
        for count, found in rates.items():
            server = Manage(cores, environment, *cores.all, args=(OPTION, str(count)))
            try:
                done = wrk.load(cores, server.port, PATH, extent.seconds, {})
            finally:
                server.close()
            if done.errors or not done.count:
                raise RuntimeError(f"{count} processes: {done}")
            found.append(done.rate)
    return {count: median(found) for count, found in rates.items()}
