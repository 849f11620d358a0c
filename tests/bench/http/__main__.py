"""`python -m tests.bench.http`: Freshet beside other servers, in one run on one machine."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.extent import FULL, SHORT, Extent
from tests.bench.http import latency, machine, peak, processes, rivals, table, tools
from tests.bench.http.cores import Cores
from tests.bench.http.freshets import World

TITLE = "# Benchmarks"
More = Callable[[Cores, World], list[str]]

LONGER = 4  # turns of the load, for a turn of the latency


@dataclass
class Report:
    """Markdown, what is wrong, and the parts that are missing here."""

    lines: list[str]
    faults: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def leave_out(self, part: str, why: str) -> None:
        self.lines += [f"{part} left out: {why}.", ""]
        self.absent.append(f"{part} left out: {why}")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="one short turn of everything")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="of each turn, whole ones")
    parser.add_argument("--only", default="", metavar="TEXT", help="servers with this in the name")
    parser.add_argument("--changed", type=int, default=100, help="albums that change at a time")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the report there, too")
    chosen = parser.parse_args(given)
    chosen.extent = SHORT if chosen.short else FULL
    if chosen.rounds:
        chosen.extent = replace(chosen.extent, rounds=chosen.rounds)
    if chosen.seconds:
        seconds = chosen.seconds
        chosen.extent = replace(chosen.extent, seconds=seconds, longer=LONGER * seconds)
    return chosen


def report(chosen: argparse.Namespace, more: More | None = None) -> Report:
    """Measure, and tell in Markdown. Parts for which something is missing are left out.

    `more` is done in the same world, prints by itself, and returns what is wrong.
    """
    cores = Cores()
    command = "python -m " + " ".join([f"tests.{chosen.module}", *sys.argv[1:]])
    made = Report([TITLE, "", *machine.describe(cores, command), ""])
    if cores.count < 2:
        made.leave_out("HTTP is", "it takes two cores")
    elif tools.version("wrk") is None:
        made.leave_out("HTTP is", "wrk is not installed")
    else:
        with TemporaryDirectory() as name, closing(World(cores, Path(name))) as world:
            measure(made, cores, world, Path(name), chosen)
            made.faults += more(cores, world) if more is not None else []
    return made


def measure(
    made: Report, cores: Cores, world: World, folder: Path, chosen: argparse.Namespace
) -> None:
    """All parts, each of which adds to the report."""
    extent: Extent = chosen.extent
    peaks = peak.measure(cores, world, folder, extent, chosen.only)
    rate, times = peaks.rows[0].rate("plain"), None
    if tools.STEADY.exists():
        with nginx_beside(cores, peaks, folder) as nginx:
            times = latency.measure(cores, world, nginx, rate, extent, chosen.changed)
        made.faults += times.faults
    made.faults += peaks.faults
    made.lines += table.goals(peaks, times)
    made.lines += table.peaks(peaks, extent)
    if rivals.missing(rivals.NGINX, {}):
        made.absent.append("nginx is not installed")
    if times is not None:
        made.lines += table.latencies(times, extent.longer)
    else:
        made.leave_out("Latency at a constant rate is", "it takes a C compiler, cc")
    if processes.is_possible():
        made.lines += table.processes(processes.measure(cores, world, extent))
    else:
        made.leave_out("Processes are", f"`run` has no {processes.OPTION}")


@contextmanager
def nginx_beside(cores: Cores, peaks: peak.Peaks, folder: Path) -> Iterator[rivals.Running | None]:
    """An nginx that answers the same, to compare with; None where there is none."""
    if rivals.missing(rivals.NGINX, {}):
        yield None
        return
    with closing(rivals.Running(cores, rivals.NGINX, peaks.samples, folder)) as running:
        yield running


def write(text: str, file: Path | None) -> None:
    """Into a file, if one is wanted."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def end(made: Report) -> None:
    """Raises SystemExit with what is wrong; in CI nothing but packages of others may be missing."""
    faults = made.faults + (made.absent if os.environ.get("CI") else [])
    if faults:
        raise SystemExit("Failed: " + "; ".join(faults) + ".")


def main() -> None:
    chosen = arguments()
    chosen.module = "bench.http"
    made = report(chosen)
    print(made.text)
    write(made.text, chosen.write)
    end(made)


if __name__ == "__main__":
    main()
