"""Answers a second of one process and of two; left out where `run` has no such option."""

import subprocess
import sys
from statistics import median

from server.addresses import ROOT
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


def measure(cores: Cores, world: World, rounds: int, seconds: int) -> dict[int, float]:
    """Answers a second by number of processes, which share all cores with the load."""
    environment = world.environment(world.new_database("processes"), RELEASES)
    world.sync(environment)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for count, found in rates.items():
            server = Manage(cores, environment, *cores.all, args=(OPTION, str(count)))
            try:
                found.append(wrk.load(cores, server.port, PATH, seconds).rate)
            finally:
                server.close()
    return {count: median(found) for count, found in rates.items()}
