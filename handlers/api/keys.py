"""`/api/my/keys/`: list, make and revoke access keys."""

import re
from typing import Any

import orjson
from pydantic import ValidationError

from handlers.access import OwnerHandler
from server.catalog.snapshot import utc
from server.errors import NotFound, ParameterFault
from server.login.key_store import KeyEntry
from server.openapi.private.key_schemas import KeyWish
from server.request_errors import InvalidBody, SessionRequired

SUBJECT = re.compile(r"^(Input|String|List|Field) (?!cannot)")  # of what pydantic says
NO_KEY = "You have no key with this id."


class KeysHandler(OwnerHandler):
    """The keys of the caller: of an account, or those that commands made for the server."""

    reading = "manage"

    async def get(self) -> None:
        """List the keys, without their secrets. Raises Overloaded or a DatabaseError."""
        entries = await self._keys.entries(self.owner)
        self.write_json({"items": [shown(entry) for entry in entries]})

    head = get

    async def post(self) -> None:
        """Make a key, which this answer alone contains.

        Raises SessionRequired, InvalidBody, TooManyKeys, Overloaded or a DatabaseError.
        """
        if self.sender.by == "key":
            raise SessionRequired
        wish = read_wish(self._members())
        made = await self._keys.create(self.owner, wish.name, wish.scopes)
        self.write_json({**shown(made.entry), "key": made.key}, 201)

    def _members(self) -> Any:
        """Return the JSON of the body. Raises InvalidBody."""
        try:
            return orjson.loads(self.request.body)
        except orjson.JSONDecodeError:
            raise InvalidBody([ParameterFault("body", None, "is not JSON")]) from None


class KeyHandler(OwnerHandler):
    """One key of the caller."""

    async def delete(self, identity: str) -> None:
        """Revoke the key. Raises NotFound, Overloaded or a DatabaseError."""
        if not await self._keys.revoke(self.owner, int(identity)):
            raise NotFound(NO_KEY)
        self.set_status(204)


def read_wish(members: Any) -> KeyWish:
    """Return what a new key is to be. Raises InvalidBody, which names every fault."""
    try:
        return KeyWish.model_validate(members)
    except ValidationError as error:
        raise InvalidBody([_fault(each) for each in error.errors()]) from None


def _fault(error: Any) -> ParameterFault:
    """Return a fault as the API words it; the reason is pydantic's, from its own text alone."""
    place = ".".join(map(str, error["loc"])) or "body"
    value = error["input"] if isinstance(error["input"], str) else None
    reason = SUBJECT.sub("", str(error["msg"])).replace("required", "is required")
    if error["type"] == "string_pattern_mismatch":
        reason = "should have a letter or another visible character, and no control character"
    return ParameterFault(place, value, reason)


def shown(entry: KeyEntry) -> dict[str, Any]:
    """Return a key as the API shows it, without its secret."""
    return {
        "id": entry.id,
        "name": entry.name,
        "scopes": list(entry.scopes),
        "hint": entry.hint,
        "created_at": utc(entry.created_at),
        "last_used_at": utc(entry.last_used_at),
    }
