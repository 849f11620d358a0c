"""The files in which several processes count, so that each can tell the sums of all.

Source: prometheus.github.io/client_python/multiprocess. They lie among temporary files and are
needed for as long as the server runs, so their loss must cost nothing.
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
DELETED = " (deleted)"  # how proc(5) marks the name of an open file that was removed

log = structlog.get_logger()


class CountFiles:
    """The files of process `number` in `folder`; to be made before any instrument.

    A process that takes the place of one that died has its number and goes on with its counts.
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

    def keep(self) -> None:
        """Make the files again, with what they held, if they have been removed."""
        try:
            exists = self._folder.exists()
            there = set(os.listdir(self._folder)) if exists else set()
            if not exists or not self._ours <= there:
                self._restore()
            end = f"_{self._number}.db"
            self._ours |= {name for name in there if name.endswith(end)}
            self._fault = ""
        except OSError as error:
            if str(error) != self._fault:  # once, not at each look
                log.warning("metrics_not_shared", reason=str(error))
            self._fault = str(error)

    def _restore(self) -> None:
        """Copy the files that are removed but open to where they were, and have them opened again.

        Where the system does not show open files (macOS), counts begin at 0.
        """
        self._remake()
        for descriptor, name in self._removed():
            new = self._folder / f"{name}.new"
            with open(descriptor, "rb") as source, new.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            new.rename(self._folder / name)
        # The library opens its files again when the number is another one; in names it is the same.
        self._number = int(self._number) if isinstance(self._number, str) else str(self._number)
        log.info("metrics_files_restored", folder=str(self._folder))

    def _removed(self) -> list[tuple[str, str]]:
        """Our files that are open without being in the folder: where to read each, and its name."""
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
    """Process `number` has died: its counts stay in `folder`, but how it is, nobody tells."""
    mark_process_dead(number, str(folder))  # type: ignore[no-untyped-call]
