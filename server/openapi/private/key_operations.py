"""Describe the operations on access keys in OpenAPI 3.1. Pure."""

from typing import Any

from server.openapi.examples import JSON
from server.openapi.operations import REFERENCE, json_response, problem
from server.openapi.private.security import SESSION, secured

HEADERS = ("Cache-Control", "Cross-Origin-Resource-Policy", "Referrer-Policy")
UNAUTHENTICATED = "Neither a session nor a valid key."


def all_keys() -> dict[str, Any]:
    """Describe `/api/my/keys/`."""
    return {
        "get": {
            "operationId": "listKeys",
            "summary": "Your access keys",
            "description": "With a key that a command made: all keys that commands made.",
            "security": secured("manage"),
            "responses": {
                "200": json_response("The keys, without their secrets.", "AccessKeys", HEADERS),
                **refusals(lacks("manage")),
            },
        },
        "post": {
            "operationId": "makeKey",
            "summary": "Make an access key",
            "description": "Only with a session: a key cannot make keys, which would outlive it.",
            "security": [{SESSION: []}],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"$ref": REFERENCE.format(model="KeyWish")},
                        "example": JSON["KeyWish"],
                    }
                },
            },
            "responses": {
                "201": json_response("The key, shown only here.", "NewAccessKey", HEADERS),
                "400": problem("The body is not JSON, or a member is missing or invalid."),
                "409": problem("You have 50 keys, the most that one account can have."),
                "413": problem("The body is larger than 16 KiB."),
                **refusals("The request has a key, or is not of a page of Freshet."),
            },
        },
    }


def one_key() -> dict[str, Any]:
    """Describe `/api/my/keys/{id}/`."""
    place = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "`id` of the key.",
        "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
    }
    return {
        "delete": {
            "operationId": "revokeKey",
            "summary": "Revoke an access key",
            "description": "It is invalid at once, on every server of the database.",
            "security": secured("manage"),
            "parameters": [place],
            "responses": {
                "204": {"description": "The key is revoked."},
                "404": problem("You have no key with this id."),
                **refusals(lacks("manage")),
            },
        }
    }


def lacks(scope: str) -> str:
    """Return the text of a 403 for a key without `scope`, or a foreign page with a session."""
    return f"The key lacks the scope `{scope}`, or the request is not of a page of Freshet."


def refusals(forbidden: str) -> dict[str, Any]:
    """Describe the refusals that all private operations share; `forbidden` is the text of 403."""
    return {
        "401": problem(UNAUTHENTICATED, ("WWW-Authenticate",)),
        "403": problem(forbidden, (), ("WWW-Authenticate",)),
        "503": problem("The database is unavailable; try again.", ("Retry-After",)),
    }
