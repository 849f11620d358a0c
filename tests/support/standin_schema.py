"""Checks an answer against Spotify's OpenAPI description, which lies beside the checkout."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

DESCRIPTION = Path(__file__).resolve().parents[3] / "shared" / "spotify" / "openapi.yml"
URN = "urn:spotify"
REMOVED = {
    "followers",
    "genres",
    "popularity",
    "album_group",
    "available_markets",
    "label",
}
"""Fields of artists and albums that restricted apps do not get, in any of their objects."""


class Description:
    """Spotify's OpenAPI description, ready to validate the answers of its paths."""

    def __init__(self) -> None:
        if not DESCRIPTION.exists():
            pytest.skip("needs Spotify's OpenAPI description at ../shared/spotify/openapi.yml")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        with DESCRIPTION.open("rb") as file:
            self._paths = (contents := yaml.load(file, loader))["paths"]
        self._registry = Registry().with_resource(URN, DRAFT4.create_resource(contents))

    def faults(self, path: str, body: Any) -> list[tuple[str, str]]:
        """Validate the answer to a GET of `path`; returns pairs of place and message.

        The message of a missing field is `missing NAME`, that of a null `null`.
        """
        answer = self._paths[path]["get"]["responses"]["200"]["$ref"]
        schema = {"$ref": f"{URN}{answer}/content/application~1json/schema"}
        errors = OAS30Validator(schema, registry=self._registry).iter_errors(body)
        return [(error.json_path, _told(error)) for error in errors]


def _told(error: Any) -> str:
    if error.validator == "required":
        return "missing " + str(error.message).split("'")[1]
    if error.instance is None:
        return "null"
    return str(error.message)


def fields_of(value: Any) -> set[str]:
    """Return the names of all fields at any depth."""
    if isinstance(value, list):
        return set().union(*map(fields_of, value)) if value else set()
    if isinstance(value, dict):
        return set(value).union(*map(fields_of, value.values()))
    return set()
