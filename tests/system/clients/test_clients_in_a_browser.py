"""The clients of the guides for browsers work in a page of another origin, and are polite."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from playwright.sync_api import Browser

from tests.support import client_guide, documented
from tests.support.browser_fixtures import Place
from tests.support.client_guide import LIBRARIES, Output
from tests.support.paths import ROOT
from tests.support.recording_front import RecordingFront, recording_front

HEADING = "JavaScript in a browser"
FOLLOWING = ROOT / "docs" / "following.md"
PLACE = "812-0b5e61f3"  # of the guide's example
KY = """<script type=importmap>{"imports": {"ky": "/ky/distribution/index.js"}}</script>"""


@pytest.mark.slow
def test_the_client_for_browsers_lists_everything_and_hears_of_changes_politely(
    place: Place,
    front: RecordingFront,
    chromium: Browser,
    foreign_page: Callable[..., str],
) -> None:
    script = f"{KY}<script type=module>{client_guide.program(HEADING, front.url)}</script>"
    with visited(chromium, foreign_page(script, LIBRARIES)) as output:
        # The stream is given up when it is refused, and then all is read once more.
        exchanges = client_guide.follow(place, front, HEADING, output, times=3)
    client_guide.check_politeness(exchanges)
    client_guide.check_that_answers_are_kept(exchanges)


@pytest.mark.slow
def test_the_stream_of_the_guide_is_opened_again_after_a_refusal(
    place: Place, chromium: Browser, foreign_page: Callable[..., str]
) -> None:
    (code,) = [text for language, text in documented.blocks(FOLLOWING) if language == "js"]
    here = orjson.loads(place.server.get("/api/albums/?limit=1")[2])["place"]
    assert PLACE in code
    with recording_front() as front:
        front.to = place.server.port
        script = client_guide.hurried(code, front.url).replace(PLACE, here)
        with visited(chromium, foreign_page(f"<script>{script}</script>")) as output:
            # The answers are a refusal, a reset, which loads the page again, and the stream.
            output.until(lambda _: client_guide.is_waiting(front.exchanges))
            added = client_guide.publish(place)
            output.until(lambda lines: any(line.endswith(f": {added}") for line in lines))
    assert len(front.exchanges) == 3


@contextmanager
def visited(chromium: Browser, url: str) -> Iterator[Output]:
    """Open a page; gives what it says."""
    context = chromium.new_context()
    page = context.new_page()
    output = Pumped(page)
    page.on("console", output.note)
    page.goto(url)
    yield output
    context.close()


class Pumped(Output):
    """What a page has said; Playwright reads its messages only while it waits."""

    def __init__(self, page: Any) -> None:
        super().__init__()
        self._page = page

    def note(self, message: Any) -> None:
        if message.type == "log":
            self.read.append(message.text)

    def wait(self) -> None:
        self._page.wait_for_timeout(50)
