"""`make bench`: compares, in one run on one machine, and prints ratios; never asserts a time."""

import platform
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine

from server import schema
from server.embedded import EmbeddedPostgres
from tests.bench import payload, sync, variants, warm


def main() -> None:
    print(f"Python {platform.python_version()} on {platform.machine()}\n")
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
    warm.main()


if __name__ == "__main__":
    main()
