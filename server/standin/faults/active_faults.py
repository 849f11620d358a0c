"""The faults that are active, and which of them a request meets."""

from collections.abc import Iterable
from random import Random

from server.standin.catalogue.ids import seeded_random
from server.standin.faults.definitions import PAGES, Fault


class ActiveFault:
    """A fault that has been added, and how often it has occurred."""

    def __init__(self, fault: Fault, rng: Random) -> None:
        self.fault = fault
        self._rng = rng
        self._passed = 0
        self._occurrences = 0

    @property
    def is_spent(self) -> bool:
        """Whether it has occurred as often as it may."""
        return self.fault.times is not None and self._occurrences >= self.fault.times

    def applies_to(self, path: str, *, paged: bool) -> bool:
        """Return whether it can affect a request of `path`; `paged` if the response is a page."""
        fits = paged or self.fault.fault not in PAGES
        return fits and not self.is_spent and path.startswith(self.fault.path)

    def is_due(self) -> bool:
        """Return whether it affects the next request that it applies to; count those that pass."""
        if self._passed < self.fault.after:
            self._passed += 1
            return False
        return self.fault.rate >= 1 or self._rng.random() < self.fault.rate

    def record(self) -> None:
        """Count one occurrence."""
        self._occurrences += 1


class ActiveFaults:
    """The active faults, in the order in which they were added.

    Their randomness follows from `seed`.
    """

    def __init__(self, seed: int, faults: Iterable[Fault] = ()) -> None:
        self._seed = seed
        self._number = 0
        self._faults: list[ActiveFault] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Add a fault after the others."""
        self._number += 1
        self._faults.append(ActiveFault(fault, seeded_random("fault", self._seed, self._number)))

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def next_for(self, path: str, *, paged: bool) -> ActiveFault | None:
        """Return the first fault that affects a request of `path`, None if it succeeds.

        The caller records that it occurred: a page or text fault that finds nothing to change waits
        for the next request.
        """
        self._faults = [fault for fault in self._faults if not fault.is_spent]
        for fault in self._faults:
            if fault.applies_to(path, paged=paged) and fault.is_due():
                return fault
        return None
