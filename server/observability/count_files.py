"""The files that several processes count in, so that each process can expose the sums of all.

They are temporary files that are needed as long as the server runs, so they are restored if another
program deletes them. Source: prometheus.github.io/client_python/multiprocess.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import structlog
from prometheus_client import values
from prometheus_client.multiprocess import mark_process_dead

from server.config import runtime_folder

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's own variable
DELETED = " (deleted)"  # suffix of the name of a deleted open file, see proc(5)

log = structlog.get_logger()


class CountFiles:
    """The files of process `number` in `folder`; to be created before any instrument.

    A process that replaces a dead one has the same number and continues its counts.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder.resolve()
        self._number: int | str = number
        self._ours: set[str] = set()
        self._lock: int | None = None
        self._fault = ""
        self._remake()
        os.environ[FOLDER] = str(folder)
        values.ValueClass = values.MultiProcessValue(self._identify)  # type: ignore[no-untyped-call]

    def restore(self) -> None:
        """Recreate the files with their contents if they were deleted; log a failure once."""
        try:
            exists = self._folder.exists()
            there = set(os.listdir(self._folder)) if exists else set()
            if not exists or not self._ours <= there:
                self._copy_back()
            end = f"_{self._number}.db"
            self._ours |= {name for name in there if name.endswith(end)}
            self._fault = ""
        except OSError as error:
            if str(error) != self._fault:  # not at every call
                log.warning("metrics_not_shared", reason=str(error))
            self._fault = str(error)

    def _copy_back(self) -> None:
        """Copy deleted files that are still open back to the folder, and have them reopened.

        Where /proc does not exist (macOS), counts restart at 0.
        """
        self._remake()
        for descriptor, name in self._removed():
            new = self._folder / f"{name}.new"
            with open(descriptor, "rb") as source, new.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            new.rename(self._folder / name)
        # The library reopens its files when the number changes; int and str give the same names.
        self._number = int(self._number) if isinstance(self._number, str) else str(self._number)
        log.info("metrics_files_restored", folder=str(self._folder))

    def _removed(self) -> list[tuple[str, str]]:
        """Return the path in /proc and the name of each open file that is missing in the folder."""
        found = {}
        with suppress(FileNotFoundError):
            for descriptor in os.listdir("/proc/self/fd"):
                path = f"/proc/self/fd/{descriptor}"
                with suppress(OSError):
                    file = Path(os.readlink(path).removesuffix(DELETED))
                    if file.parent == self._folder and not file.exists():
                        found[file.name] = path
        return [(path, name) for name, path in found.items()]

    def _remake(self) -> None:
        runtime_folder.remake(self._folder)
        if self._lock is not None:
            os.close(self._lock)
        self._lock = runtime_folder.hold(self._folder)

    def _identify(self) -> int | str:
        return self._number


def forget(folder: Path, number: int) -> None:
    """Delete the gauges of process `number`, which has died, from `folder`; its counts stay."""
    mark_process_dead(number, str(folder))  # type: ignore[no-untyped-call]
