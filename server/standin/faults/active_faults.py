"""The faults that are set, and which of them a request meets."""

from collections.abc import Iterable
from random import Random

from server.standin.catalogue.ids import dice
from server.standin.faults.definitions import PAGES, Fault


class ActiveFault:
    """A fault that has been put down, and what is left of it."""

    def __init__(self, fault: Fault, die: Random) -> None:
        self.fault = fault
        self._die = die
        self._passed = 0
        self._met = 0

    @property
    def over(self) -> bool:
        """Whether it was met as often as it may be."""
        return self.fault.times is not None and self._met >= self.fault.times

    def concerns(self, path: str, *, paged: bool) -> bool:
        """Whether it can happen to a request of `path`, answered by a page or not."""
        fits = paged or self.fault.fault not in PAGES
        return fits and not self.over and path.startswith(self.fault.path)

    def strikes(self) -> bool:
        """Whether the next request that it concerns meets it, or is one that goes well."""
        if self._passed < self.fault.after:
            self._passed += 1
            return False
        return self.fault.rate >= 1 or self._die.random() < self.fault.rate

    def spend(self) -> None:
        """Note that it has happened once."""
        self._met += 1


class ActiveFaults:
    """The faults that stand, in the order in which they were put down; dice follow from `seed`."""

    def __init__(self, seed: int, faults: Iterable[Fault] = ()) -> None:
        self._seed = seed
        self._number = 0
        self._standing: list[ActiveFault] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Add a fault behind those that stand."""
        self._number += 1
        self._standing.append(ActiveFault(fault, dice("fault", self._seed, self._number)))

    def clear(self) -> None:
        """Take all faults away."""
        self._standing.clear()

    def meet(self, path: str, *, paged: bool) -> ActiveFault | None:
        """The first fault that strikes a request of `path`, None if it goes well.

        It counts as met only when it is spent: one in a page or text that turns out to be none,
        or to have nothing to spoil, waits for the next.
        """
        self._standing = [standing for standing in self._standing if not standing.over]
        for standing in self._standing:
            if standing.concerns(path, paged=paged) and standing.strikes():
                return standing
        return None
