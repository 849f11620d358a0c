"""This checkout beside another one, by turns in one run: `python -m tests.bench.compare CHECKOUT`.

Each runs its own `tests.bench.http.server` with the packages of this environment, on a database
that it has filled itself. In each round the second begins where the first did before. Ratios are
this one's figures by the other's, round by round: above 1, this one takes longer or holds more. On
a busy machine the best round of one by the best of the other tells more.
"""

import argparse
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from server.config.addresses import ROOT
from tests.bench.http import sample, table, tools, wrk
from tests.bench.http.cores import Cores
from tests.bench.http.freshets import Bench, World
from tests.bench.http.peak import RELEASES
from tests.bench.http.process import cpu_seconds, fetch, resident

ROUNDS = 5
SECONDS = 3
NEW_ANSWERS = 200  # a second of a turn
MICROSECONDS = 1e6
AHEAD = date(2100, 1, 1)  # no release is kept out by that


@dataclass
class Side:
    """A checkout: its server, and its figures by what was measured, one a round."""

    name: str
    server: Bench
    figures: dict[str, list[float]] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        """Microseconds of CPU time so far."""
        return MICROSECONDS * cpu_seconds(self.server.process.pid)


Turn = Callable[[Side], float]


def turns(cores: Cores, seconds: int, number: int) -> dict[str, Turn]:
    """What is measured in a round; a figure that is not above 0 is a fault."""

    def warm(path: str, headers: dict[str, str], side: Side) -> float:
        before = side.cpu
        done = wrk.load(cores, side.server.port, path, seconds, headers)
        return 0.0 if done.errors else (side.cpu - before) / done.count

    def unchanged(side: Side) -> float:
        path = sample.CASES["plain"][0]
        _, headers, _ = fetch(side.server.port, path)
        return warm(path, {"If-None-Match": headers["etag"]}, side)

    def new(side: Side) -> float:
        before, count = side.cpu, NEW_ANSWERS * seconds
        with closing(HTTPConnection("127.0.0.1", side.server.port, timeout=10)) as connection:
            for each in range(count * number, count * (number + 1)):
                path = f"/api/artists/?released_before={AHEAD + timedelta(days=each)}"
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    return 0.0
        return (side.cpu - before) / count

    def refresh(side: Side) -> float:
        before = side.cpu
        side.server.tell("refresh", seconds=0)
        time.sleep(seconds)
        count = side.server.tell("rest")["complete"]
        return (side.cpu - before) / count if count else 0.0

    measured: dict[str, Turn] = {
        f"warm, {path}, {coding}": partial(warm, path, sample.asked(case))
        for case, (path, coding) in sample.CASES.items()
    }
    measured["warm, 304"] = unchanged
    measured["never asked for before"] = new
    measured["refresh after a sync"] = refresh
    measured["memory, MB"] = lambda side: resident(side.server.process.pid)
    return measured


def run(
    cores: Cores,
    world: World,
    checkouts: tuple[Path, Path],
    rounds: int,
    seconds: int,
    only: str = "",
) -> list[str]:
    """Prints the table of what has `only` in its name, the other one first; what is wrong."""
    with ExitStack() as stack:
        sides = []
        for checkout in checkouts:
            environment = world.environment(world.filled(RELEASES, checkout), RELEASES)
            server = Bench(cores, environment, lane=True, checkout=checkout)
            stack.callback(server.close)
            sides.append(Side(_name(checkout), server))
        for number in range(rounds):
            for what, turn in turns(cores, seconds, number).items():
                if only not in what:
                    continue
                for side in sides if number % 2 else reversed(sides):
                    side.figures.setdefault(what, []).append(turn(side))
    faults = [
        f"{what} failed" for side in sides for what in side.figures if not all(side.figures[what])
    ]
    if not faults:
        print("\n".join(_table(*sides)))
    return faults


def _name(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or checkout.name


def _table(other: Side, this: Side) -> list[str]:
    rows = []
    for what, before in other.figures.items():
        ratios = [b / a for a, b in zip(before, this.figures[what], strict=True)]
        figures = [f"{median(each):,.1f}" for each in (before, this.figures[what])]
        spread = f"{min(ratios):.2f}–{max(ratios):.2f}"
        best = f"{min(this.figures[what]) / min(before):.2f}"
        rows.append([what, *figures, f"{median(ratios):.2f}", spread, best])
    rounds = len(next(iter(other.figures.values())))
    about = f"CPU time of the server, µs an answer; medians of {rounds} rounds by turns."
    heads = ["", other.name, this.name, "ratio", "rounds from–to", "best by best"]
    return [about, "", *table.grid(heads, rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="the folder of the other one")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each turn, whole ones")
    parser.add_argument("--only", default="", metavar="TEXT", help="figures with this in the name")
    chosen = parser.parse_args()
    if tools.version("wrk") is None:
        raise SystemExit("wrk is not installed")
    cores, other = Cores(), chosen.checkout.resolve()
    with TemporaryDirectory() as folder, closing(World(cores, Path(folder))) as world:
        faults = run(cores, world, (other, ROOT), chosen.rounds, chosen.seconds, chosen.only)
    if faults:
        raise SystemExit("Failed: " + "; ".join(faults) + ".")


if __name__ == "__main__":
    main()
