"""Repairs what a process may have inherited: closed descriptors, blocked or ignored signals.

Service managers, cron, `nohup`, shells that start a background command in a script, and careless
parents pass these on (POSIX, Shell Command Language 2.11; the manual page execve(2)).
"""

import os
import signal
import sys

STANDARD = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))
ENDING = (signal.SIGINT, signal.SIGTERM)


def repair() -> None:
    """Repair descriptors and signals; must be called before anything else."""
    open_standard_descriptors()
    accept_signals()


def open_standard_descriptors() -> None:
    """Open /dev/null where descriptor 0, 1 or 2 is closed.

    Otherwise the next file or socket gets that number, and receives output meant for a terminal.
    """
    for number, name, mode in STANDARD:
        try:
            os.fstat(number)
        except OSError:
            if os.open(os.devnull, os.O_RDWR) != number:
                raise RuntimeError(f"descriptor {number} cannot be opened") from None
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
            setattr(sys, name, stream)


def accept_signals() -> None:
    """Unblock SIGINT and SIGTERM, and let SIGTERM end the process.

    An ignored SIGINT stays ignored, as shells require of background commands; a server installs
    handlers for both.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
