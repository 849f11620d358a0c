"""Photograph the demo's start page for README.md: `python -m tests.support.picture FILE`.

The demo runs on a copy of the tree, with its own data. Exits with a message if no Chromium is found
or if the picture is larger than 200 kB. `make picture` runs this.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Browser, sync_playwright

from tests.support import chromium
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
TREE = ("server", "handlers", "models", "alembic", "manage.py", "setup.cfg")  # all that it runs
START_SECONDS = 90.0
SIZE = (1200, 750)  # pixels of the picture
SCALE = 0.75  # so that it shows as much of the page as a window of 1600 by 1000
MOST_BYTES = 200_000
COLUMNS = 5  # releases in a row at this width
NAMES = """() => Array.from(document.querySelectorAll('#cards > li'), card =>
  Array.from(card.querySelectorAll('.name, .by'), each => each.innerText).join(' '))"""
LAST_COMMON = 0x52F  # Latin, Greek and Cyrillic letters, which every machine has a font for
PUNCTUATION = range(0x2000, 0x2070)


def photograph(browser: Browser, url: str, file: Path) -> None:
    """Save a PNG of the start page at `url`. Raises ValueError if it is larger than MOST_BYTES.

    Few machines have fonts for all the scripts that artists write their names in, so the
    picture starts with the row of releases whose names have the fewest rare letters.
    """
    width, height = SIZE
    page = browser.new_page(
        viewport={"width": round(width / SCALE), "height": round(height / SCALE)},
        device_scale_factor=SCALE,
        color_scheme="light",
    )
    try:
        page.goto(url)
        names: list[str] = page.evaluate(NAMES)
        rows = ["".join(names[first : first + COLUMNS]) for first in range(len(names) - COLUMNS)]
        offset = min(range(len(rows)), key=lambda first: rare_letters(rows[first]), default=0)
        page.goto(f"{url}?offset={offset}" if offset else url)
        page.evaluate(chromium.LOAD_IMAGES)
        file.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=file)
    finally:
        page.close()
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"{file} has {file.stat().st_size} bytes, more than {MOST_BYTES}")


def rare_letters(text: str) -> int:
    """Count the characters that many machines have no font for."""
    return sum(ord(each) > LAST_COMMON and ord(each) not in PUNCTUATION for each in text)


@contextmanager
def demo(make_database: Callable[[Path], object] | None = None) -> Iterator[str]:
    """Run the demo with data of its own until the first sync has finished; its address.

    `make_database` makes the data folder of its PostgreSQL, if the demo doesn't.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in TREE:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, Path(folder) / name)
        if make_database is not None:
            make_database(Path(folder) / "var" / "demo" / "postgres")
        port = free_port()
        url = f"http://127.0.0.1:{port}/"
        command = [sys.executable, f"{folder}/manage.py", "run", "--demo", "-p", str(port)]
        process = subprocess.Popen(
            command, cwd=folder, env={"PATH": os.environ["PATH"]}, stdout=subprocess.DEVNULL
        )
        try:
            _wait_for_releases(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def _wait_for_releases(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=30) as response:
                if b'id="cards"' in response.read():
                    return
        except OSError:
            pass  # it has not started yet
        time.sleep(0.1)
    raise TimeoutError(f"the demo shows no releases after {START_SECONDS:.0f} s")


def main(file: str) -> None:
    """Write the picture to `file`. Raises SystemExit without Chromium or if it is too large."""
    path = chromium.find()
    if path is None:
        raise SystemExit(chromium.MISSING)
    with demo() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.ARGUMENTS)
        try:
            photograph(browser, url, Path(file))
        except ValueError as error:
            raise SystemExit(str(error)) from None
        finally:
            browser.close()
    print(f"{file}: {Path(file).stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
