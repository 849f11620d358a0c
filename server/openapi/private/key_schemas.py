"""The bodies of requests and responses about access keys."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from server.login.key_store import Scope

# Something that can be read, and no control character, which logs and terminals would obey.
NAME = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
SCOPES = (
    "What the key allows: `read`, `sync`, `manage`. `manage` includes `read`. More may be added."
)

Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, strip_whitespace=True, pattern=NAME),
]


class KeyWish(BaseModel):
    """What a new key is to be called, and what it may do."""

    name: Name = Field(description="By which you recognise it, such as `feed reader`.")
    scopes: list[Scope] = Field(
        description=SCOPES, min_length=1, json_schema_extra={"uniqueItems": True}
    )


class AccessKey(BaseModel):
    """An access key, as its owner sees it."""

    id: int = Field(description="By which it is revoked.")
    name: str = Field(description="Its name.")
    scopes: list[Scope] = Field(description=SCOPES)
    hint: str = Field(description="The first 7 characters of the key.")
    created_at: datetime = Field(description="When it was made.")
    last_used_at: datetime | None = Field(
        description="When it was last used, to the minute; null if never."
    )


class NewAccessKey(AccessKey):
    """A new access key. The key itself is in this response only; Freshet stores its hash."""

    key: str = Field(description="The key, to be kept secret.")


class AccessKeys(BaseModel):
    """The access keys of the caller."""

    items: list[AccessKey] = Field(description="The keys, the newest first.")
