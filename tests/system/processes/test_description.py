"""The description is believed: whatever it allows is answered, whatever it forbids is refused.

Schemathesis makes up the requests; its long form is `make fuzz`.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import URL

from server.openapi.spec import openapi
from tests.support.paths import ROOT
from tests.support.server_processes import NOTHING, Manage, Server, environment, standin_settings

LONG = bool(os.environ.get("FRESHET_SOAK"))
RUNS = 2 if LONG else 1  # side by side
EXAMPLES = 500 if LONG else 3  # an operation
PHASES = "fuzzing" if LONG else "coverage,fuzzing"  # the long form does not repeat what is the same
STREAM = "/api/events"
# In the short form all parameters of lists are varied for three operations. Those of these are the
# same, so these are asked with the first few alone: for their answers.
LIKE_OTHERS = re.compile(
    r"/api/albums/|/api/my/artists/|/feeds/albums\..*|/feeds/my/albums\.(?!atom).*"
)
FEW = 2
A_RUN = timedelta(minutes=20)
ZONES = ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia"]
CHECKED = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 414]
# A place in the journal may be valid, yet out of reach.
positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404, 409, 410, 429, 503]
"""


def shares() -> list[list[str]]:
    """All paths that the API describes; in two parts of about equal length where time is long.

    Each run of Schemathesis costs two CPU seconds before its first request.
    """
    paths = openapi()["paths"]
    ordered = sorted(paths, key=lambda path: parameters(paths[path]))
    return [ordered[number::RUNS] for number in range(RUNS)]


def parameters(item: dict[str, Any]) -> int:
    """How many parameters of a path there are to vary."""
    return sum(len(each.get("parameters", ())) for each in item.values())


def zones(now: datetime) -> list[str]:
    """Return the zones in which it is the first watched day, during all of a run."""
    return [
        each
        for each in ZONES
        if {(now + shift).astimezone(ZoneInfo(each)).date() for shift in (-A_RUN, A_RUN)}
        <= {now.date()}
    ] or ["UTC"]


def describe(server: Server, paths: list[str], file: Path) -> None:
    """The description of these paths, as the server tells it.

    A stream never ends, so it is asked by HEAD, which takes the same parameters.
    """
    document = json.loads(server.get("/api/openapi.json")[2])
    document["paths"] = {path: document["paths"][path] for path in paths}
    if (stream := document["paths"].get(STREAM)) is not None:
        stream["head"] = {**stream["get"], "operationId": "askForStream"}
    for name, schema in document["components"]["schemas"].items():
        if name not in ("Problem", "OutOfReach"):  # so that no field is left undescribed
            schema.setdefault("additionalProperties", False)
    known = json.loads(server.get("/api/albums/?limit=1")[2])["items"][0]
    ids = {
        "/api/albums/{spotify_id}/": known["spotify_id"],
        "/api/artists/{id}/": known["artists"][0]["spotify_id"],
    }
    first_day = json.loads(server.get("/api/status")[2])["watched_since"]
    for path, item in document["paths"].items():
        for way in item.values():  # no schema can say which cursors were signed, for which query
            asked = way.get("parameters", ())
            way["parameters"] = [each for each in asked if each["name"] != "cursor"]
        if not LONG and LIKE_OTHERS.fullmatch(path):
            item["get"]["parameters"] = item["get"]["parameters"][:FEW]
        for parameter in (each for way in item.values() for each in way.get("parameters", ())):
            if parameter["name"] == "at":  # no schema can say which days Freshet has watched
                parameter["schema"] = {"type": "string", "enum": [first_day]}
            if parameter["name"] == "tz":  # nor which zones there are
                parameter["schema"] = {"type": "string", "enum": zones(datetime.now(UTC))}
        for body in (
            way["requestBody"]["content"] for way in item.values() if "requestBody" in way
        ):
            if "text/plain" in body:  # what is no text, such as {}, would be sent as text in others
                body.pop("text/csv", None)
                body.pop("application/octet-stream", None)
    for path in set(paths) & set(ids):
        parameter = document["paths"][path]["get"]["parameters"][0]
        parameter["examples"] = {"known": {"value": ids[path]}}
    file.write_text(json.dumps(document))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(RUNS))
def test_whatever_schemathesis_asks_the_answers_are_as_described(
    number: int,
    run: Callable[..., Server],
    manage: Manage,
    database_url: URL,
    spotify: str,
    tmp_path: Path,
) -> None:
    paths = shares()[number]
    env = environment(database_url, **standin_settings(spotify))
    server = run(env=env)
    server.event("sync_finished")
    scopes = [f"--scope={each}" for each in ("read", "sync", "manage")]
    key = manage("key", "create", "fuzz", *scopes, env=env).stdout.strip()
    (tmp_path / "schemathesis.toml").write_text(
        f'{CHECKED}\n[auth.openapi.key]\nbearer = "{key}"\n'
    )
    describe(server, paths, tmp_path / "openapi.json")
    command = [
        str(Path(sys.executable).with_name("st")),
        f"--config-file={tmp_path / 'schemathesis.toml'}",
        "run",
        str(tmp_path / "openapi.json"),
        f"--url=http://127.0.0.1:{server.port}",
        f"--phases={PHASES}",
        f"--max-examples={EXAMPLES}",
        "--checks=all",
        "--exclude-operation-id=streamChanges",
        "--suppress-health-check=all",
        "--generation-database=none",
        "--seed=1",
        "--no-color",
    ]
    result = subprocess.run(
        command,
        env=NOTHING | {"HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / ".hypothesis")},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=1200,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    assert not [line for line in server.lines() if line["event"] == "request_crashed"]
    private = [line for line in server.events("http_request") if "/api/my/" in line["path"]]
    statuses = {line["status"] for line in private}
    assert 401 in statuses, "without the key"
    assert statuses & {200, 204}, "with the key"
    described = openapi()["paths"]
    varied = [path for path in paths if parameters(described[path])]
    (generated,) = re.findall(r"(\d+) generated", result.stdout)
    assert int(generated) >= EXAMPLES * len(varied)
