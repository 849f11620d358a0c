"""The clients of docs/clients.md work as they stand there, and are polite.

Each is behind a front that refuses each of its paths once, and then loses its place in the journal.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import client_guide
from tests.support.browser_fixtures import Place
from tests.support.client_guide import GO_LIBRARIES, LIBRARIES, Output
from tests.support.paths import ROOT
from tests.support.recording_front import RecordingFront

PYTHON = ("client.py", [sys.executable, "-u", "-W", "error", "client.py"])
PROGRAMS: dict[str, tuple[str, list[str]]] = {  # by heading: the file and the command
    "Python with requests": PYTHON,
    "Python with httpx": PYTHON,
    "JavaScript in Node": ("client.mjs", ["node", "client.mjs"]),
    "Go": ("client.go", ["./client"]),
    "Shell with curl and jq": ("client.sh", ["bash", "client.sh"]),
}
KEEP_ONLY_CHANGES = ["Shell with curl and jq"]


@contextmanager
def running(heading: str, url: str, folder: Path) -> Iterator[Output]:
    """Run a client of the guide in a process."""
    file, command = PROGRAMS[heading]
    (folder / file).write_text(client_guide.program(heading, url))
    (folder / "node_modules").symlink_to(LIBRARIES)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GOCACHE": str(ROOT / "build" / "go"),
        "GOPATH": str(GO_LIBRARIES),
        "GO111MODULE": "off",
    }
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


@pytest.mark.slow
@pytest.mark.parametrize("heading", PROGRAMS)
def test_a_client_of_the_guide_lists_everything_and_hears_of_changes_politely(
    heading: str, place: Place, front: RecordingFront, tmp_path: Path
) -> None:
    with running(heading, front.url, tmp_path) as output:
        exchanges = client_guide.follow(place, front, heading, output)
    client_guide.check_politeness(exchanges)
    assert [each for each in exchanges if each.status == 304]
    if heading not in KEEP_ONLY_CHANGES:
        client_guide.check_that_answers_are_kept(exchanges)
