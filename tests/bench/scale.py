"""What grows with the catalogue: `python -m tests.bench.scale --sizes 1000,100000,1000000`.

Each part is measured on catalogues of each size by turns, in one run; the figures are medians. A
catalogue has ten listings and ten entries of the journal for each release. `--keep DIR` keeps the
catalogues there, and later runs measure copies of them; the largest one takes about 15 GB, and
twice that with `--keep`. `--write FILE` replaces the section of that name in a report, `--plans
FILE` writes the plan of each statement on the largest catalogue. It takes half an hour.
"""

import argparse
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from sqlalchemy import URL, text

from server.database import schema
from server.database.embedded import EmbeddedPostgres
from server.database.engine import make_engine
from tests.bench.measure import seconds
from tests.bench.scale_data import fill, vacuum
from tests.bench.scale_parts import READS, WRITES
from tests.bench.scale_report import START, Findings, report, write
from tests.bench.scale_server import REQUESTS, Request, Server, allow, doctor
from tests.bench.scale_work import Catalogue, Part

SIZES = (1_000, 100_000, 1_000_000)
SHORT_SIZES = (200, 400)
ROUNDS = 15
STARTS = 5
NICE = 10
LONG = re.compile(r"'[{\[][^']{100,}'|(?<=\()(%\(\w+\)s(, )?){5,}(?=\))")  # lists of values
FILLING = {  # the cluster holds nothing of worth until it is filled
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}

Turn = Callable[[int, int], float]  # of a size and the number of a round; milliseconds


def measure(catalogues: dict[int, Catalogue], rounds: int, starts: int) -> Findings:
    """Measure everything by turns; what changes a catalogue comes last."""
    found = Findings()

    def by_turns(section: str, name: str, rounds: int, work: Turn) -> None:
        times: dict[int, list[float]] = {size: [] for size in catalogues}
        for number in range(1 + rounds):
            for size in sorted(catalogues, reverse=number % 2 == 1):
                times[size].append(work(size, number))
        found.note(section, name, times)

    def asked(servers: dict[int, Server], request: Request, size: int, number: int) -> float:
        return servers[size].milliseconds(request, number)

    def done(part: Part, size: int, number: int) -> float:
        return catalogues[size].milliseconds(part, number)

    started: dict[int, list[float]] = {size: [] for size in catalogues}

    def start(size: int, _number: int) -> float:
        with closing(Server(catalogues[size])) as server:
            started[size].append(server.cpu)
            return server.ready

    for catalogue in catalogues.values():
        allow(catalogue)
    with ExitStack() as stack:
        servers = {size: Server(each) for size, each in catalogues.items()}
        for server in servers.values():
            stack.callback(server.close)
        for request in REQUESTS:
            by_turns("Requests", request.name, rounds, partial(asked, servers, request))
        found.memory = {size: server.memory for size, server in servers.items()}
    by_turns("Commands", START, starts, start)
    found.note("Commands", "CPU time of such a start", started)
    by_turns("Commands", "`manage.py doctor`", starts, lambda size, _: doctor(catalogues[size]))
    for part in (*READS, *WRITES):
        by_turns("In the database", part.name, rounds, partial(done, part))
    found.disk = {size: each.megabytes_on_disk() for size, each in catalogues.items()}
    return found


def plans(catalogue: Catalogue) -> str:
    """Return the plan of each statement of each part; long lists of values are left out."""
    lines = []
    for part in (*READS, *WRITES):
        lines += [f"## {part.name}", ""]
        for statement, plan in catalogue.plans(part, 0):
            told = LONG.sub("…", "\n".join([statement, "", *plan]))
            lines += ["```text", told, "```", ""]
    return "\n".join(lines)


@contextmanager
def catalogues(
    folder: Path, sizes: Iterable[int], *, copied: bool
) -> Iterator[dict[int, Catalogue]]:
    """Make the catalogues that are not in `folder`, and yield all, or copies of them."""
    data = folder / "postgres"
    _fill(data, sizes)
    postgres = EmbeddedPostgres(data)
    postgres.start()
    try:
        with ExitStack() as stack:
            found = {}
            for size in sizes:
                url = postgres.url.set(database=_name(size))
                if copied:
                    url = url.set(database=f"copy_of_{size}")
                    _do(postgres.url, f"DROP DATABASE IF EXISTS {url.database}")
                    making = f"CREATE DATABASE {url.database} TEMPLATE {_name(size)}"
                    _do(postgres.url, f"{making} STRATEGY file_copy")
                    stack.callback(_do, postgres.url, f"DROP DATABASE {url.database}")
                found[size] = Catalogue(url)
                stack.callback(found[size].close)
            yield found
    finally:
        postgres.stop()


def _fill(data: Path, sizes: Iterable[int]) -> None:
    postgres = EmbeddedPostgres(data, FILLING)
    postgres.start()
    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
        os.setpriority(os.PRIO_PROCESS, pid, NICE)  # and of all that it starts from now on
        for size in sizes:
            if _do(postgres.url, f"SELECT FROM pg_database WHERE datname = '{_name(size)}'"):
                _upgrade(postgres.url.set(database=_name(size)))
                continue
            print(f"Making a catalogue of {size} releases", flush=True)
            _do(postgres.url, "DROP DATABASE IF EXISTS making")
            fill(postgres.url.set(database="making"), size)
            _do(postgres.url, f"ALTER DATABASE making RENAME TO {_name(size)}")
    finally:
        postgres.stop()


def _upgrade(url: URL) -> None:
    """Bring a catalogue that was kept to the newest schema, and tell how long that took."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            before = schema.current(connection)
        if before != schema.newest():
            took = seconds(partial(schema.create, engine))
            print(f"  {took:9.2f}  s to upgrade {url.database} from {before}", flush=True)
            vacuum(engine)
    finally:
        engine.dispose()


def _name(size: int) -> str:
    return f"catalogue_{size}"


def _do(url: URL, statement: str) -> int:
    """Run a statement of the cluster outside of any transaction; return how many rows it found."""
    engine = make_engine(url.set(database="postgres"))
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SET statement_timeout = 0"))
            done = connection.execute(text(statement))
            return len(done.all()) if done.returns_rows else 0
    finally:
        engine.dispose()


def run(
    folder: Path, sizes: Iterable[int], rounds: int, starts: int, *, copied: bool, plan: bool
) -> tuple[Findings, str]:
    """Measure catalogues in a folder; return what was found, and the plans if they are wanted."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with catalogues(folder, sizes, copied=copied) as made:
        written = plans(made[max(made)]) if plan else ""
        return measure(made, rounds, starts), written


def briefly() -> list[str]:
    """Do everything once with small catalogues; return what is wrong. Times are no fault."""
    with TemporaryDirectory() as folder:
        found, written = run(Path(folder), SHORT_SIZES, 0, 0, copied=True, plan=True)
    told = report(found, 0, 0, "")
    parts = [each.name for each in (*READS, *WRITES)]
    names = [*parts, *(each.name for each in REQUESTS)]
    lacking = [name for name in names if f"| {name} " not in told]
    lacking += [name for name in parts if f"## {name}\n" not in written]
    return [f"{name} was not measured" for name in lacking]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the catalogues there")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a report in Markdown")
    parser.add_argument("--plans", type=Path, metavar="FILE", help="the plans, in Markdown")
    parser.add_argument("--short", action="store_true", help="everything once, small catalogues")
    chosen = parser.parse_args()
    if chosen.short:
        if faults := briefly():
            raise SystemExit("Failed: " + "; ".join(faults) + ".")
        return
    sizes = sorted(map(int, chosen.sizes.split(",")))
    with TemporaryDirectory() as folder:
        where, copied = chosen.keep or Path(folder), chosen.keep is not None
        where.mkdir(parents=True, exist_ok=True)
        wanted = chosen.plans is not None
        found, written = run(where, sizes, chosen.rounds, STARTS, copied=copied, plan=wanted)
    command = f"python -m tests.bench.scale --sizes {chosen.sizes} --rounds {chosen.rounds}"
    told = report(found, chosen.rounds, STARTS, command)
    print(told)
    if chosen.write:
        write(told, chosen.write)
    if chosen.plans:
        chosen.plans.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
