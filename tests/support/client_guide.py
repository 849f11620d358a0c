"""The clients of docs/clients.md, what they say, and whether they are polite."""

import queue
import re
import shutil
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import orjson
import pytest
from sqlalchemy.orm import Session

from server.app.upstream import utc_now
from server.storage import sweeps
from tests.support import documented
from tests.support.browser_fixtures import Place
from tests.support.examples import album, sweep
from tests.support.paths import ROOT
from tests.support.recording_front import SECONDS_TO_WAIT, Exchange, RecordingFront

GUIDE = ROOT / "docs" / "clients.md"
LIBRARIES = ROOT / "build" / "polite" / "node_modules"
GO_LIBRARIES = Path("/usr/share/gocode")
PATIENCE = 60.0  # seconds
PAGE = 40  # releases
LISTS, CHANGES, EVENTS = "/api/albums/", "/api/changes/", "/api/events"
NUMBERS = count(900)
AGENTS = {
    "Python with requests": "python-requests",
    "Python with httpx": "python-httpx",
    "JavaScript in Node": "got",
    "Go": "Go-http-client",
    "Shell with curl and jq": "curl",
    "JavaScript in a browser": "Mozilla",
}
NEEDED: dict[str, list[str | Path]] = {
    "Go": [
        "go",
        GO_LIBRARIES / "src/github.com/gregjones/httpcache",
        GO_LIBRARIES / "src/github.com/hashicorp/go-retryablehttp",
    ],
    "JavaScript in Node": ["node", LIBRARIES / "got"],
    "Shell with curl and jq": ["curl", "jq"],
    "JavaScript in a browser": [LIBRARIES / "ky"],
}


def program(heading: str, url: str) -> str:
    """Return the client under a heading, with the address of the front, and in a hurry.

    Skips the test if something that the client takes is not installed.
    """
    for needed in NEEDED.get(heading, []):
        if not (needed.exists() if isinstance(needed, Path) else shutil.which(needed)):
            pytest.skip(f"there is no {needed}")
    section = documented.text(GUIDE).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (found,) = documented.FENCE.findall(section)
    return hurried(str(found[1]), url)


def hurried(code: str, url: str) -> str:
    """Return a client of this front that makes short pauses and reads short pages."""
    for pattern, here in (
        ("http://127.0.0.1:5000", url),
        (r"limit=500\b", f"limit={PAGE}"),
        (r"([sS]leep[ (])(60|5)\b(?! \*)", r"\g<1>0.5"),  # seconds
        (r"(else |sleep )1\b", r"\g<1>0.2"),
        (r"\b(60|5|1)_000\b", "500"),  # milliseconds
        (r"\b30_000\b", f"{SECONDS_TO_WAIT}_000"),
        (r"\b(60|5) \* time\.Second", "time.Second / 2"),
    ):
        code = re.sub(pattern, here, code)
    return code


def listed(place: Place) -> list[str]:
    """Return what a client has to list, on all pages together."""
    found: list[str] = []
    path = f"{LISTS}?limit=500"
    while path:
        page = orjson.loads(place.server.get(path)[2])
        found += [f"{each['kind']} {each['name']}" for each in page["items"]]
        path = LISTS + page["next"].partition(LISTS)[2] if page["next"] else ""
    return found


def publish(place: Place) -> str:
    """Store a new release as another server would; return its name."""
    number = next(NUMBERS)
    new = sweep([album(number, name=f"News {number}")], complete=False)
    with Session(place.engine) as session, session.begin():
        sweeps.record_sweep(session, new, utc_now(), utc_now)
    return f"News {number}"


class Output:
    """What a client has said, line by line."""

    def __init__(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self.read: list[str] = []

    def until(self, is_enough: Callable[[list[str]], bool]) -> list[str]:
        """Wait for lines; return all of them."""
        deadline = time.monotonic() + PATIENCE
        while not is_enough(self.read):
            assert time.monotonic() < deadline, f"only {self.read}"
            self.wait()
        return self.read

    def wait(self) -> None:
        """Wait for a line, for a moment."""
        try:
            self.read.append(self.lines.get(timeout=0.1))
        except queue.Empty:
            return


def follow(
    place: Place, front: RecordingFront, heading: str, output: Output, times: int = 2
) -> list[Exchange]:
    """Let a client list everything and hear of a new release; return its requests.

    It lists everything when it starts, and again because changes were missed.
    """
    wanted = times * listed(place)
    said = output.until(lambda lines: len(lines) >= len(wanted))
    assert sorted(said) == sorted(wanted)
    agent = AGENTS[heading]
    output.until(lambda _: is_waiting(front.of(agent)))
    added = f"added {publish(place)}"
    output.until(lambda lines: added in lines)
    return front.of(agent)


def is_waiting(exchanges: list[Exchange]) -> bool:
    """Whether a client has asked for changes in vain, or opened the stream after a reset."""
    changes = [each.status for each in exchanges if each.path == CHANGES]
    streams = [each.status for each in exchanges if each.path == EVENTS]
    return 304 in changes or streams == [503, 200, 200]


def check_politeness(exchanges: list[Exchange]) -> None:
    """Check that a client waited when told to, followed `next`, and noticed what it missed."""
    for path in {each.path for each in exchanges}:
        first, second = [each for each in exchanges if each.path == path][:2]
        assert (first.status, second.target) == (429 if path == LISTS else 503, first.target)
        assert second.at - first.at >= 0.95 * SECONDS_TO_WAIT
    assert len({each.target for each in exchanges if each.path == LISTS}) >= 3
    assert all(each.fields["if-none-match"] for each in exchanges if each.status == 304)
    journal = [each for each in exchanges if each.path in (CHANGES, EVENTS)]
    assert all(re.search(r"after=[0-9]+-[0-9a-f]+$", each.target) for each in journal)
    changes = [each.status for each in exchanges if each.path == CHANGES]
    assert changes[:3] in ([503, 410, 200], []), "a lost place is given up at once"
    assert {*changes[3:]} <= {200, 304}


def check_that_answers_are_kept(exchanges: list[Exchange]) -> None:
    """Check that a client has not got any page of the list twice."""
    got = [each.target for each in exchanges if (each.path, each.status) == (LISTS, 200)]
    assert len(got) == len({*got})
