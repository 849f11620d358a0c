"""Which core does what: the server has one for itself, and so has the load."""

import os
import subprocess
from typing import Any

POLITE = 19  # niceness of what may not be in the way of the load on its core


class Cores:
    """Cores by number. With a third one, what is neither server nor load has that."""

    def __init__(self) -> None:
        allowed = sorted(os.sched_getaffinity(0))
        self.count = len(allowed)
        self.server = allowed[0]
        self.load = allowed[min(1, self.count - 1)]
        self.rest = allowed[min(2, self.count - 1)]
        self.all = set(allowed)
        self.pair = (self.server, self.load)

    def start(self, command: list[str], *cores: int, polite: bool = False, **options: Any) -> Any:
        """A process on these cores alone, as are all that it starts."""

        def settle() -> None:
            os.sched_setaffinity(0, cores)
            if polite:
                os.nice(POLITE)

        return subprocess.Popen(command, preexec_fn=settle, **options)

    def run(self, command: list[str], *cores: int, seconds: float) -> str:
        """What a process on these cores prints. Raises a SubprocessError."""
        done = subprocess.run(
            command,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds,
        )
        return done.stdout
