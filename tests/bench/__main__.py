"""`make bench`: compares, in one run on one machine, and prints ratios; never asserts a time.

`--write FILE` puts all of it into a file as well; the other options are those of the HTTP part,
which is first, while the machine has nothing else to remember.
"""

import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine

from server import schema
from server.embedded import EmbeddedPostgres
from tests.bench import payload, sync, variants
from tests.bench.http import __main__ as http

OTHER = "## Syncs and answers in the making"


class Both(StringIO):
    """Shows what is printed, and keeps it."""

    def write(self, text: str) -> int:
        print(text, end="", file=sys.__stdout__, flush=True)
        return super().write(text)


def others() -> None:
    with TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", {"shared_buffers": "512MB"})
        postgres.start()
        try:
            schema.create(create_engine(postgres.url))
            sync.main(postgres.url)
            variants.main(postgres.url)
            payload.main(postgres.url)
        finally:
            postgres.stop()


def main() -> None:
    chosen = http.arguments()
    chosen.module = "bench"
    text = http.report(chosen)
    print(text)
    kept = Both()
    with redirect_stdout(kept):
        others()
    http.write(f"{text}\n{OTHER}\n\n```\n{kept.getvalue().rstrip()}\n```\n", chosen.write)


if __name__ == "__main__":
    main()
