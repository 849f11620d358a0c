"""The artists that each account follows."""

from collections.abc import Iterable, Mapping

from server.standin.catalogue.ids import seeded_random
from server.standin.catalogue.spotify_objects import Json


class Following:
    """Who follows whom; `account_id` None means every account that has no `follow_only` of its own.

    At first an account follows a third of the artists in the listing, always the same ones.
    """

    def __init__(self) -> None:
        self._choices: dict[str | None, dict[str, bool]] = {}
        self._chosen_only: set[str | None] = set()

    def follow(self, *artist_ids: str, account_id: str | None = None) -> None:
        """Let an account follow artists, besides those that it follows already.

        What is said of one account counts before what is said of every account.
        """
        self._choose(artist_ids, account_id, True)

    def unfollow(self, *artist_ids: str, account_id: str | None = None) -> None:
        """Let an account no longer follow artists."""
        self._choose(artist_ids, account_id, False)

    def follow_only(self, artist_ids: Iterable[str], account_id: str | None = None) -> None:
        """Let an account follow these artists and no others."""
        self._choices[account_id] = dict.fromkeys(artist_ids, True)
        self._chosen_only.add(account_id)

    def list_of(
        self, account_id: str | None, known: Mapping[str, Json], listed: Mapping[str, Json]
    ) -> list[Json]:
        """Return the followed ones of the `known` artists, sorted by id.

        `listed` are those of the listing, of which an account follows a third at first.
        """
        if {account_id, None} & self._chosen_only:
            candidates = {key for choices in self._of(account_id) for key in choices}
        else:
            candidates = set(listed).union(*self._of(account_id))
        return [
            known[identifier]
            for identifier in sorted(candidates)
            if identifier in known and self.follows(account_id, identifier)
        ]

    def follows(self, account_id: str | None, artist_id: str) -> bool:
        """Return whether an account follows an artist."""
        for choices in self._of(account_id):
            if artist_id in choices:
                return choices[artist_id]
        if {account_id, None} & self._chosen_only:
            return False
        return seeded_random("followed", artist_id).random() < 1 / 3

    def _choose(self, artist_ids: Iterable[str], account_id: str | None, follow: bool) -> None:
        self._choices.setdefault(account_id, {}).update(dict.fromkeys(artist_ids, follow))

    def _of(self, account_id: str | None) -> list[dict[str, bool]]:
        """Return the choices that count for an account, its own first."""
        own = self._choices.get(account_id, {})
        return [own] if account_id in self._chosen_only else [own, self._choices.get(None, {})]
