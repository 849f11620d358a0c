"""The buttons by which an owner watches and ignores artists. Pure."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from server.catalog.release import VARIOUS_ARTISTS
from server.storage.following import MyArtists

Action = Literal["watch", "unwatch", "ignore", "unignore"]
TEXTS: dict[Action, str] = {
    "watch": "Watch",
    "unwatch": "Stop watching",
    "ignore": "Ignore",
    "unignore": "Stop ignoring",
}
DONE: dict[str, str] = {
    "watch": "You watch this artist now: its releases appear under “My artists”.",
    "unwatch": "You no longer watch this artist.",
    "ignore": "You ignore this artist now: its releases no longer appear under “My artists”.",
    "unignore": "You no longer ignore this artist.",
    "refresh": "Your list on Spotify is being read. Reload this page in a moment.",
    "refresh-later": "Your list on Spotify cannot be read right now. Try again in a minute.",
    "import": "You watch all artists of the list now.",
}
MOST_LISTED = 200  # artists with a button of their own


class ChoiceButton(NamedTuple):
    """A button for one artist, by Spotify's id.

    `name` is read out after `text`, and shown if `is_named`: where several artists could be meant.
    """

    artist: str
    name: str
    action: Action
    is_named: bool = False

    @property
    def text(self) -> str:
        """What the button says."""
        return TEXTS[self.action]

    @property
    def is_known(self) -> bool:
        """Whether the artist has a name here; without one it has no page either."""
        return self.name != self.artist


def of_release(mine: MyArtists, credited: Sequence[tuple[str, str]]) -> ChoiceButton | None:
    """Return the button of a release, credited to artists of these names and ids.

    It is for the first artist that the owner follows, watches or ignores, or else for the first.
    """
    named = [each for each in credited if each[1] != VARIOUS_ARTISTS]
    if not named:
        return None
    known = [each for each in named if _is_known(mine, each[1])]
    name, artist = (known or named)[0]
    return ChoiceButton(artist, name, _action(mine, artist), is_named=len(named) > 1)


def of_artist(mine: MyArtists, artist: str, name: str) -> ChoiceButton:
    """Return the button of an artist's page."""
    return ChoiceButton(artist, name, _action(mine, artist))


def chosen(mine: MyArtists) -> tuple[list[ChoiceButton], list[ChoiceButton]]:
    """Return buttons that take back what was watched and what was ignored, the latest first."""
    return _listed(mine, mine.watched), _listed(mine, mine.ignored)


def _listed(mine: MyArtists, artists: Iterable[str]) -> list[ChoiceButton]:
    return [
        ChoiceButton(artist, mine.name_of(artist) or artist, _action(mine, artist))
        for artist in list(artists)[:MOST_LISTED]
    ]


def _is_known(mine: MyArtists, artist: str) -> bool:
    return artist in mine.followed or artist in mine.watched or artist in mine.ignored


def _action(mine: MyArtists, artist: str) -> Action:
    if artist in mine.ignored:
        return "unignore"
    if artist in mine.watched:
        return "unwatch"
    return "ignore" if artist in mine.followed else "watch"
