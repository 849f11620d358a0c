"""What one kind of problem means and what to do about it. Pure."""

from dataclasses import dataclass

from server.errors import FreshetError


@dataclass(frozen=True)
class Explanation:
    """One kind of problem; `statuses` are the HTTP statuses that it comes with."""

    kind: str
    title: str
    statuses: tuple[int, ...]
    meaning: str
    advice: str


def explain(error: type[FreshetError], meaning: str, advice: str, *more: int) -> Explanation:
    """Explain an error and those below it that share its kind; `more` are other statuses."""
    statuses = {*more, *(each.status for each in _family(error) if each.kind == error.kind)}
    return Explanation(error.kind, error.title, tuple(sorted(statuses)), meaning, advice)


def _family(error: type[FreshetError]) -> list[type[FreshetError]]:
    return [error, *(each for child in error.__subclasses__() for each in _family(child))]
