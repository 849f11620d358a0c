"""`make bench`: compares, in one run on one machine, and prints ratios; never asserts a time.

The HTTP part is first, while the machine has nothing else to remember. `--short` is for CI: a short
turn of everything, a soak and a comparison of this checkout with itself included, which fails
unless all of it works. `--write FILE` puts all of it into a file as well.
"""

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine

from server.config.addresses import ROOT
from server.database import schema
from server.database.embedded import EmbeddedPostgres
from tests.bench import compare, following, scale, scale_report, soak, sync, variants
from tests.bench.extent import Extent
from tests.bench.http import __main__ as http
from tests.bench.http.cores import Cores
from tests.bench.http.freshets import World

OTHER = "## Syncs and answers in the making"


class Both(StringIO):
    """Shows what is printed, and keeps it."""

    def write(self, text: str) -> int:
        print(text, end="", file=sys.__stdout__, flush=True)
        return super().write(text)


def briefly(cores: Cores, world: World) -> list[str]:
    """What `make bench` leaves to commands of their own; what is wrong."""
    return [
        *soak.run(cores, world, minutes=2, minute=1),
        *compare.run(cores, world, (ROOT, ROOT), rounds=1, seconds=1),
    ]


def others(extent: Extent) -> list[str]:
    """Prints the tables of what takes no HTTP; what is wrong."""
    with TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", {"shared_buffers": "512MB"})
        postgres.start()
        try:
            schema.create(create_engine(postgres.url))
            parts = (sync.main, following.main, variants.main)
            return [fault for part in parts for fault in part(postgres.url, extent)]
        finally:
            postgres.stop()


def main() -> None:
    chosen = http.arguments()
    chosen.module = "bench"
    made = http.report(chosen, briefly if chosen.short else None)
    print(made.text)
    kept = Both()
    with redirect_stdout(kept):
        made.faults += others(chosen.extent)
        made.faults += scale.briefly() if chosen.short else []
    made.lines += [OTHER, "", "```text", kept.getvalue().rstrip(), "```", ""]
    kept_section = scale_report.read(chosen.write)  # which a command of its own measures
    made.lines += [kept_section] if kept_section else []
    http.write(made.text, chosen.write)
    http.end(made)


if __name__ == "__main__":
    main()
