"""The clients of docs/clients.md work as they stand there, and are polite.

Each starts with a place that is out of reach, behind a front that refuses each of its paths once.
"""

import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.sync_api import Browser
from sqlalchemy.orm import Session

from server.app.upstream import utc_now
from server.storage import sweeps
from tests.support import documented
from tests.support.browser_fixtures import Place, serving
from tests.support.databases import NewDatabase
from tests.support.examples import album, sweep
from tests.support.fork_server import ForkServer
from tests.support.paths import ROOT
from tests.support.recording_front import Exchange, RecordingFront, recording_front

GUIDE = ROOT / "docs" / "clients.md"
SECONDS = 60.0
PAGE = 40  # releases
LISTS, CHANGES, EVENTS = "/api/albums/", "/api/changes/", "/api/events"
NUMBERS = count(900)
PROGRAMS: dict[str, tuple[str, list[str]]] = {  # by heading: the file and the command
    "Python with requests": ("client.py", [sys.executable, "-W", "error", "client.py"]),
    "Python with httpx": ("client.py", [sys.executable, "-W", "error", "client.py"]),
    "JavaScript in Node": ("client.mjs", ["node", "client.mjs"]),
    "Go": ("client.go", ["./client"]),
    "Shell with curl and jq": ("client.sh", ["bash", "-euo", "pipefail", "client.sh"]),
}
AGENTS: dict[str, str | tuple[str, ...]] = {
    "Python with requests": "python-requests",
    "Python with httpx": "python-httpx",
    "JavaScript in Node": ("node", "undici"),  # the latter in older versions
    "Go": "Go-http-client",
    "Shell with curl and jq": "curl",
    "JavaScript in a browser": "Mozilla",
}
NEEDED = {"Go": ["go"], "JavaScript in Node": ["node"], "Shell with curl and jq": ["curl", "jq"]}


@pytest.fixture(scope="module")
def front() -> Iterator[RecordingFront]:
    with recording_front() as front:
        yield front


@pytest.fixture(scope="module")
def place(
    front: RecordingFront,
    new_database: NewDatabase,
    migrated: str,
    manage_py: Path,
    fork_server: ForkServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """A server that is reached by way of the front; its lists have three pages."""
    folder = tmp_path_factory.mktemp("place")
    parts = new_database, migrated, manage_py, fork_server, folder
    with serving(*parts, PUBLIC_URL=front.url) as place:
        place.server.event("sync_finished", 60)
        front.to = place.server.port
        yield place


def program(heading: str, url: str) -> str:
    """The client under a heading, with the address of the front, and in a hurry."""
    section = documented.text(GUIDE).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (found,) = documented.FENCE.findall(section)
    code = str(found[1])
    for pattern, here in (
        ("http://127.0.0.1:5000", url),
        (r"(place ?:?= ?\"?)0\b", r"\g<1>999999999"),
        (r"unnamed=1", "unnamed=1&after=999999999"),
        (r"limit=100\b", f"limit={PAGE}"),
        (r"([sS]leep[ (])60\b", r"\g<1>1"),
        (r"follow, 30000", "follow, 1000"),
    ):
        code = re.sub(pattern, here, code)
    return code


def listed(place: Place) -> list[str]:
    """What a client has to list, on all pages together."""
    found: list[str] = []
    path = f"{LISTS}?limit=500"
    while path:
        page = orjson.loads(place.server.get(path)[2])
        found += [f"listed {each['name']}" for each in page["items"]]
        path = LISTS + page["next"].partition(LISTS)[2] if page["next"] else ""
    return found


def publish(place: Place) -> str:
    """Store a new release as another server would; returns what a client has to say of it."""
    number = next(NUMBERS)
    new = sweep([album(number, name=f"News {number}")], complete=False)
    with Session(place.engine) as session, session.begin():
        sweeps.record_sweep(session, new, utc_now(), utc_now)
    return f"added News {number}"


class Output:
    """What a client has said, line by line."""

    def __init__(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self.read: list[str] = []

    def until(self, is_enough: Callable[[list[str]], bool]) -> list[str]:
        """Wait for lines; returns all of them."""
        deadline = time.monotonic() + SECONDS
        while not is_enough(self.read):
            try:
                self.read.append(self.lines.get(timeout=max(deadline - time.monotonic(), 0)))
            except queue.Empty:
                raise AssertionError(f"only {self.read}") from None
        return self.read


@contextmanager
def running(heading: str, url: str, folder: Path) -> Iterator[Output]:
    """Run a client of the guide in a process."""
    for needed in NEEDED.get(heading, []):
        if shutil.which(needed) is None:
            pytest.skip(f"there is no {needed}")
    file, command = PROGRAMS[heading]
    (folder / file).write_text(program(heading, url))
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GOCACHE": str(ROOT / "build" / "go")}
    if heading == "Go":
        subprocess.run(["go", "build", "client.go"], cwd=folder, env=env, check=True, timeout=300)
    output = Output()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        source = process.stdout

        def read() -> None:
            for line in source:
                output.lines.put(line.rstrip("\n"))

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield output
        finally:
            os.killpg(process.pid, 15)
            thread.join()


def follow(
    place: Place, front: RecordingFront, heading: str, output: Output, times: int = 1
) -> list[Exchange]:
    """Let a client list everything and hear of a new release; returns its requests."""
    wanted = times * listed(place)
    said = output.until(lambda lines: len(lines) >= len(wanted))
    assert sorted(said) == sorted(wanted)
    agent = AGENTS[heading]
    waits = [304] if any(each.path == CHANGES for each in front.of(agent)) else [200]
    deadline = time.monotonic() + SECONDS
    while not [
        each for each in front.of(agent) if each.path in (CHANGES, EVENTS) and each.status in waits
    ]:
        assert time.monotonic() < deadline, front.of(agent)
        time.sleep(0.05)
    added = publish(place)
    output.until(lambda lines: added in lines)
    return front.of(agent)


def check_politeness(exchanges: list[Exchange]) -> None:
    """It waited when told to, went from page to page, and asked only for what is new."""
    for path in {each.path for each in exchanges}:
        first, second = [each for each in exchanges if each.path == path][:2]
        assert (first.status, second.target) == (503, first.target)
        assert second.at - first.at >= 0.95
    assert len({each.target for each in exchanges if each.path == LISTS}) >= 3
    assert all(each.fields["if-none-match"] for each in exchanges if each.status == 304)
    changes = [each.status for each in exchanges if each.path == CHANGES]
    assert changes[1:3] in ([410, 200], []), "an old place is given up at once"
    assert {*changes[3:]} <= {200, 304}


@pytest.mark.slow
@pytest.mark.parametrize("heading", PROGRAMS)
def test_a_client_of_the_guide_lists_everything_and_hears_of_changes_politely(
    heading: str, place: Place, front: RecordingFront, tmp_path: Path
) -> None:
    with running(heading, front.url, tmp_path) as output:
        exchanges = follow(place, front, heading, output)
    check_politeness(exchanges)
    streams = [each for each in exchanges if each.path == EVENTS]
    assert all(each.fields["last-event-id"] == "999999999" for each in streams)
    assert streams or [each for each in exchanges if each.status == 304]


@pytest.mark.slow
def test_the_client_for_browsers_does_so_in_a_page_of_another_origin(
    place: Place,
    front: RecordingFront,
    chromium: Browser,
    foreign_page: Callable[[str], str],
) -> None:
    heading, output = "JavaScript in a browser", Output()
    context = chromium.new_context()
    page = context.new_page()
    page.on("console", lambda message: note(output, message))
    page.goto(foreign_page(f"<script type=module>{program(heading, front.url)}</script>"))
    # It lists everything when it starts, and again because changes were missed.
    exchanges = follow(place, front, heading, Pumped(output, page), times=2)
    context.close()
    check_politeness(exchanges)


def note(output: Output, message: Any) -> None:
    if message.type == "log":
        output.lines.put(message.text)


class Pumped(Output):
    """What a page has said; Playwright reads its messages only while it waits."""

    def __init__(self, output: Output, page: Any) -> None:
        self.lines, self.read, self._page = output.lines, output.read, page

    def until(self, is_enough: Callable[[list[str]], bool]) -> list[str]:
        deadline = time.monotonic() + SECONDS
        while not is_enough(self.read):
            assert time.monotonic() < deadline, f"only {self.read}"
            self._page.wait_for_timeout(50)
            while not self.lines.empty():
                self.read.append(self.lines.get())
        return self.read
