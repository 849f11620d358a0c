"""The picture of README.md: it can be made from the demo, and the one in docs/ has its size."""

import struct
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support import picture
from tests.support.databases import CopyCluster
from tests.support.picture import MOST_BYTES, ROOT, SIZE


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height in pixels. Source: w3.org/TR/png-3, section 11.2.1 (IHDR)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n", "not a PNG"
    assert png[12:16] == b"IHDR"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def fits(file: Path) -> bool:
    png = file.read_bytes()
    return size_of(png) == SIZE and 20_000 < len(png) <= MOST_BYTES


@pytest.mark.slow
def test_the_picture_of_the_start_page_is_made_from_the_demo(
    chromium: Browser, copy_cluster: CopyCluster
) -> None:
    file = ROOT / "build" / "start-page.png"
    file.unlink(missing_ok=True)
    with picture.demo(copy_cluster) as url:
        picture.photograph(chromium, url, file)
    assert fits(file)


def test_the_picture_in_the_documents_is_one_of_these() -> None:
    assert fits(ROOT / "docs" / "start-page.png")
