"""Full load while all answers are made anew each second: `python -m tests.bench.soak --minutes 24`.

It fails if a request fails, if memory grows by more than 3 MB after the first two minutes, or if
file descriptors are left open.
"""

import argparse
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.http import tools, wrk
from tests.bench.http.cores import Cores
from tests.bench.http.freshets import Bench, World
from tests.bench.http.peak import RELEASES
from tests.bench.http.process import descriptors, resident
from tests.bench.http.sample import CASES

PATH = CASES["plain"][0]
MINUTE = 60  # seconds
SETTLING = 2  # minutes until memory has to be what it stays
MOST_GROWTH = 3.0  # MB
REFRESH_SECONDS = 1.0
PARTING_SECONDS = 1.0  # until connections that wrk has left are closed


def run(cores: Cores, world: World, minutes: int, minute: int) -> list[str]:
    """Prints a line a minute; what is wrong in the end."""
    environment = world.environment(world.filled(RELEASES), RELEASES)
    with closing(Bench(cores, environment, lane=True)) as server:
        return _load(cores, server, minutes, minute)


def _load(cores: Cores, server: Bench, minutes: int, minute: int) -> list[str]:
    pid, errors = server.process.pid, 0
    memory: list[float] = []
    opened: list[int] = []
    server.tell("refresh", seconds=REFRESH_SECONDS)
    print(f"{'minute':>6} {'answers/s':>10} {'errors':>7} {'p99 ms':>7} {'RSS MB':>7} {'fds':>5}")
    for number in range(1, minutes + 1):
        done = wrk.load(cores, server.port, PATH, minute, {})
        time.sleep(PARTING_SECONDS)
        memory.append(resident(pid))
        opened.append(descriptors(pid))
        errors += done.errors
        shown = f"{done.rate:10.0f} {done.errors:7} {done.p99:7.2f} {memory[-1]:7.1f}"
        print(f"{number:6} {shown} {opened[-1]:5}", flush=True)
    made = server.tell("rest")["complete"]
    print(f"All answers were made anew {made} times.")
    settled = min(SETTLING, minutes) - 1
    growth, left = max(memory[settled:]) - memory[settled], max(opened[settled:]) - opened[settled]
    faults = {
        f"{errors} requests failed": errors,
        f"memory has grown by {growth:.1f} MB": growth > MOST_GROWTH,
        f"{left} more file descriptors are open": left > 0,
        "no answer was made anew": not made,
    }
    return [text for text, holds in faults.items() if holds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=24)
    parser.add_argument("--minute", type=int, default=MINUTE, help="seconds in one, for trials")
    chosen = parser.parse_args()
    if tools.version("wrk") is None:
        raise SystemExit("wrk is not installed")
    cores = Cores()
    with TemporaryDirectory() as folder:
        world = World(cores, Path(folder))
        try:
            faults = run(cores, world, chosen.minutes, chosen.minute)
        finally:
            world.close()
    if faults:
        raise SystemExit("Failed: " + "; ".join(faults) + ".")
    print("Passed.")


if __name__ == "__main__":
    main()
