"""`python -m tests.bench.http`: Freshet beside other servers, in one run on one machine."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.http import latency, machine, peak, processes, rivals, table, tools
from tests.bench.http.cores import Cores
from tests.bench.http.freshets import World

TITLE = "# Benchmarks"
ROUNDS = 5
SECONDS = 3
LONGER = 4  # times that, for a turn of the latency, which has to hold whole syncs


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each turn, whole ones")
    parser.add_argument("--only", default="", metavar="TEXT", help="servers with this in the name")
    parser.add_argument("--changed", type=int, default=100, help="albums that change at a time")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the report there, too")
    return parser.parse_args(given)


def report(chosen: argparse.Namespace) -> str:
    """Measure, and tell in Markdown. Parts for which something is missing are left out."""
    cores = Cores()
    if cores.count < 2 or tools.version("wrk") is None:
        lacks = "wrk is not installed" if cores.count > 1 else "it takes two cores"
        return f"{TITLE}\n\nHTTP is left out: {lacks}.\n"
    command = "python -m " + " ".join([f"tests.{chosen.module}", *sys.argv[1:]])
    lines = [TITLE, "", *machine.describe(cores, command), ""]
    with TemporaryDirectory() as name:
        folder = Path(name)
        world = World(cores, folder)
        try:
            peaks = peak.measure(cores, world, folder, chosen.rounds, chosen.seconds, chosen.only)
            rate, longer = peaks.rows[0].rate("plain"), LONGER * chosen.seconds
            times = None
            if tools.STEADY.exists():
                with nginx_beside(cores, peaks, folder) as nginx:
                    times = latency.measure(
                        cores, world, nginx, rate, chosen.rounds, longer, chosen.changed
                    )
            lines += table.goals(peaks, times)
            lines += table.peaks(peaks, chosen.rounds, chosen.seconds)
            if times is not None:
                lines += table.latencies(times, longer)
            else:
                lines += ["Latency at a constant rate is left out: it takes a C compiler, cc.", ""]
            if processes.is_possible():
                found = processes.measure(cores, world, chosen.rounds, chosen.seconds)
                lines += table.processes(found)
            else:
                lines += [f"Processes are left out: `run` has no {processes.OPTION}.", ""]
        finally:
            world.close()
    return "\n".join(lines)


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


def main() -> None:
    chosen = arguments()
    chosen.module = "bench.http"
    text = report(chosen)
    print(text)
    write(text, chosen.write)


if __name__ == "__main__":
    main()
