"""No room left on the disk of the embedded PostgreSQL: said clearly, and made good later."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.server_processes import Server, environment, standin_settings
from tests.support.waiting import wait_until
from tests.system.faults.balance import stored
from tests.system.faults.place import OFTEN, Reader, embedded, listed, next_sync, serves

pytestmark = pytest.mark.slow

Run = Callable[..., Server]
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="a disk of its own is root's to mount")
SIZE = "128m"
SCRIPT = 'mount -t tmpfs -o size="$0" none "$1" && cp -a "$2" "$1/data" && shift 2 && exec "$@"'
MOUNT = ("unshare", "--mount", "sh", "-c", SCRIPT)


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="freshet-full-"))
    yield folder
    shutil.rmtree(folder)


def fill(file: Path) -> None:
    """Take all the room there is."""
    with file.open("wb", buffering=0) as filler:
        for size in (1024**2, 4096, 1):
            try:
                while filler.write(bytes(size)):
                    pass
            except OSError:
                continue


@ROOT_ONLY
def test_a_full_disk_fails_syncs_with_a_reason_and_reads_go_on_until_there_is_room(
    run: Run, made_cluster: Path, disk: Path, publishing: str, long: bool
) -> None:
    env = environment(f"embedded:{disk}/data", **standin_settings(publishing), **OFTEN)
    server = run(through=(*MOUNT, SIZE, str(disk), str(made_cluster)), env=env)
    server.event("sync_finished", 30)
    wait_until(lambda: serves(server), 20)
    place = Path(f"/proc/{server.process.pid}/root{disk}")
    repeats, waits = 10 if long else 1, []

    def has_failed(times: int) -> bool:
        return len(server.events("sync_failed")) >= times

    with Reader(server) as reader, Reader(server, "/api/albums/?q=a&limit=7") as other:
        for number in range(repeats):
            here = stored(embedded(place / "data"))
            fill(place / "filler")
            wait_until(partial(has_failed, number + 1), 40)
            (place / "filler").unlink()
            assert here <= stored(embedded(place / "data"))
            due = listed(publishing)
            waits.append(next_sync(server, 60))
            assert here | due <= stored(embedded(place / "data"))
    for line in server.events("sync_failed"):
        assert "No space left on device" in line["error"]
    assert not reader.failures + other.failures
    print(
        f"\ndisk full {repeats} times: 0 lost, next sync complete after {max(waits):.1f} s at most;"
        f" {len(reader.seconds)} reads, 0 failed, p99 {reader.percentile():.0f} ms"
    )
