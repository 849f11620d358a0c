"""One real server under attack, a well-behaved client beside it, and what both went through."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.http.process import cpu_seconds, descriptors, resident
from tests.support.paths import ROOT
from tests.support.server_processes import Server
from tests.system.attacks.neighbour import PERIOD
from tests.system.faults.place import percentile

SHORT = 0.3  # seconds of an attack in the short form, in which others ask thirty times
LOOK = 0.02  # seconds between two looks at the server's memory
MILLISECONDS = 10.0  # that 99 of 100 answers to others may take
TIMES = 3.0  # as long as without the attack, or as an echo takes on the same machine meanwhile
MEGABYTES = 200.0
MORE = 1.1  # as much memory as before is kept afterwards
REPETITIONS = 2  # of an attack with a bad outcome
BUSY = 3.0  # milliseconds that an echo takes on such a machine
STARVED = 0.03  # of the time in which the server waits for a core there
FIRST = -10  # niceness


class Clock:
    """What a well-behaved client notes; it runs until `stop`."""

    def __init__(self, port: int, output: Path) -> None:
        self._output = output
        command = [sys.executable, "-m", "tests.system.attacks.neighbour", str(port), str(output)]
        self._process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        put_first(self._process.pid)

    def between(self, begin: float, end: float) -> tuple[list[float], list[str]]:
        """Seconds of all requests of that time, and the failures."""
        return self.read(self._output, begin, end)

    @staticmethod
    def read(noted: Path, begin: float, end: float) -> tuple[list[float], list[str]]:
        """Seconds of all requests between two moments, and the failures.

        A wait of more than a period stands also for the requests that could not be made meanwhile,
        as in HdrHistogram's correction for coordinated omission.
        """
        seconds: list[float] = []
        failures: list[str] = []
        for line in noted.read_text().splitlines():
            moment, took, *error = line.split(" ", 2)
            if not begin <= float(moment) <= end:
                continue
            if error:
                failures.append(error[0])
                continue
            waited = float(took)
            while waited > 0:
                seconds.append(waited)
                waited -= PERIOD
        return seconds, failures

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Span:
    """How others fared for a time: milliseconds, and what failed."""

    p50: float
    p99: float
    control: float
    failures: list[str]


@dataclass(frozen=True)
class Outcome:
    """An attack: others without it and during it, and the server's megabytes and descriptors."""

    name: str
    idle: Span
    during: Span
    before: float
    peak: float
    after: float
    opened_before: int
    opened_after: int
    recovery: float
    cpu: float
    starved: float
    crashes: int
    told: dict[str, Any]

    @property
    def is_vague(self) -> bool:
        """Whether the machine was busy with other things."""
        return self.during.control > BUSY or self.starved > STARVED

    def __str__(self) -> str:
        return (
            f"{self.name:34} others {self.idle.p50:5.2f}/{self.idle.p99:6.2f} -> "
            f"{self.during.p50:6.2f}/{self.during.p99:7.2f} ms (control {self.during.control:5.2f})"
            f" {len(self.during.failures)} failed; RSS {self.before:5.1f} {self.peak:6.1f} "
            f"{self.after:5.1f} MB; fds {self.opened_before} {self.opened_after}; "
            f"CPU {self.cpu:.0%}, starved {self.starved:.0%}; "
            f"back after {self.recovery:.1f} s; {json.dumps(self.told)}"
        )


class Siege:
    """Runs attacks on `server`, one after the other; `forget` has it replace all of its answers."""

    def __init__(
        self, server: Server, folder: Path, forget: Callable[[], None], *, long: bool
    ) -> None:
        self._forget = forget
        self.server = server
        self.pid = server.process.pid
        put_first(self.pid)
        self.long = long
        self._others = Clock(server.port, folder / "others")
        self._control = Clock(0, folder / "control")
        self._rested: Span | None = None
        self._attackers = subprocess.Popen(
            ["nice", sys.executable, "-m", "tests.system.attacks.attackers"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._attackers.pid, signal.SIGKILL)
        self._attackers.communicate()
        self._others.stop()
        self._control.stop()

    def span(self, begin: float, end: float) -> Span:
        seconds, failures = self._others.between(begin, end)
        control, _ = self._control.between(begin, end)
        seconds, control = seconds or [PERIOD], control or [PERIOD]
        return Span(percentile(seconds, 0.5), percentile(seconds), percentile(control), failures)

    def rest(self, seconds: float) -> Span:
        """How others fare without an attack."""
        began = time.monotonic()
        time.sleep(seconds)
        return self.span(began, began + seconds)

    def _idle(self) -> Span:
        """Measure how others fare without an attack: before each one, or once in the short form."""
        if self.long:
            return self.rest(3.0)
        if self._rested is None:
            self._rested = self.rest(0.5)
        return self._rested

    def warm_up(self) -> None:
        """Let the server open the connections and threads, and take the memory, that it keeps."""
        self._rested = Span(0.0, 0.0, 0.0, [])
        for name in ("floods:queries", "floods:paths"):
            self.attack(name, 1.0 if self.long else 0.5, patience=0.3, keeps=True, clients=16)
        self._rested = None

    def withstand(
        self, name: str, seconds: float, *, keeps: bool = False, **options: Any
    ) -> Outcome:
        """Attack, and hold the outcome against what is promised; see `faults`.

        `keeps` says that the server may keep what it was asked for until the next sync. What is
        wrong is tried again: 0.3 s have thirty answers, so two that are late decide the p99.
        """
        for _ in range(REPETITIONS + 1):
            outcome = self.attack(name, seconds, keeps=keeps, **options)
            assert any(outcome.told.values()), "there was an attack"
            wrong = faults(outcome)
            print(f"\n{outcome}")
            if not wrong:
                break
        assert not wrong, f"{wrong}\n{outcome}"
        return outcome

    def attack(
        self,
        name: str,
        seconds: float,
        patience: float = 10,
        *,
        keeps: bool = False,
        **options: Any,
    ) -> Outcome:
        """Let `module:function` of `attackers` have its way for so long, then let it go."""
        idle = self._idle()
        before, opened = resident(self.pid), descriptors(self.pid)
        crashes = self._crashes()
        used, starved = cpu_seconds(self.pid), waited(self.pid)
        order = {"name": name, "port": self.server.port, "seconds": seconds, "options": options}
        assert self._attackers.stdin is not None
        assert self._attackers.stdout is not None
        with self._watched() as peak:
            self._attackers.stdin.write(json.dumps(order) + "\n")
            self._attackers.stdin.flush()
            assert self._attackers.stdout.readline(), "the attacker has begun"
            began = time.monotonic()
            told = json.loads(self._attackers.stdout.readline())
            ended = time.monotonic()
        starved = (waited(self.pid) - starved) / (ended - began)
        cpu = (cpu_seconds(self.pid) - used) / (ended - began)
        if keeps:
            self._forget()
        recovery, after, left = self._recovery(opened, before, patience)
        return Outcome(
            name,
            idle,
            self.span(began, ended),
            before,
            peak[0],
            after,
            opened,
            left,
            recovery,
            cpu,
            starved,
            self._crashes() - crashes,
            told,
        )

    def _crashes(self) -> int:
        """How many exceptions the server has logged."""
        return self.server.log.read_text(encoding="utf-8").count('"exception":')

    def _recovery(self, opened: int, before: float, patience: float) -> tuple[float, float, int]:
        """Wait until the server has what it had; seconds, and the last look at both."""
        began = time.monotonic()
        while True:
            left, after = descriptors(self.pid), resident(self.pid)
            took = time.monotonic() - began
            if (left <= opened and after <= MORE * before) or took >= patience:
                return took, after, left
            time.sleep(0.01)

    @contextmanager
    def _watched(self) -> Iterator[list[float]]:
        peak, over = [0.0], threading.Event()

        def watch() -> None:
            while not over.wait(LOOK):
                peak[0] = max(peak[0], resident(self.pid))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield peak
        finally:
            over.set()
            thread.join()


def put_first(pid: int) -> None:
    """Let a process go before all others, as if on a machine of its own, where that is allowed.

    The kernel may share a machine by sessions, each with a niceness of its own (sched(7)).
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, FIRST)
        Path(f"/proc/{pid}/autogroup").write_text(str(FIRST), encoding="ascii")


def waited(pid: int) -> float:
    """Seconds in which the loop of a server could have run, but had no core.

    Source: docs.kernel.org/scheduler/sched-stats.html, /proc/PID/schedstat.
    """
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def faults(outcome: Outcome) -> list[str]:
    """What is wrong with it.

    On a machine that is busy with other things, one answer in a hundred says nothing about the
    server; there, half of the answers have to come in time.
    """
    idle, during = outcome.idle, outcome.during
    most = max(MILLISECONDS, TIMES * idle.p99, TIMES * during.control)
    others = during.p50 if outcome.is_vague else during.p99
    wrong = {
        f"others wait {others:.1f} ms, not {most:.1f}": others > most,
        f"others fail: {during.failures}": during.failures,
        f"{outcome.peak:.0f} MB": outcome.peak > MEGABYTES,
        f"{outcome.after:.0f} MB stay of {outcome.before:.0f}": (
            outcome.after > MORE * outcome.before
        ),
        f"{outcome.crashes} exceptions are logged": outcome.crashes,
        f"{outcome.opened_after} descriptors stay": outcome.opened_after > outcome.opened_before,
    }
    return [text for text, holds in wrong.items() if holds]
