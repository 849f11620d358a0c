"""Find a Chromium that runs, and load all images of a page in it.

Its headless shell starts with a quarter of the CPU time of the whole browser, and loads a page with
two thirds. The engine is the same, but the shell keeps no page that has been left, for going back.
"""

import shutil
import subprocess

WHOLE = ("chromium", "chromium-browser", "google-chrome")
NAMES = ("chromium-headless-shell", "chrome-headless-shell", *WHOLE)
MISSING = f"no Chromium that runs: none of {', '.join(NAMES)}"
# Pages share a process, for it takes more to start one than to load most of them.
ARGUMENTS = ["--disable-gpu", "--renderer-process-limit=1"]
LOAD_IMAGES = """() => Promise.all(Array.from(document.images, image => {
  image.loading = 'eager';
  return image.complete || new Promise(done => { image.onload = image.onerror = () => done(); });
})).then(() => null)"""


def find(names: tuple[str, ...] = NAMES) -> str | None:
    """Return the path of the first of these that runs; None without one."""
    return next(filter(runs, map(shutil.which, names)), None)


def runs(path: str | None) -> bool:
    """Whether this is a browser, not a wrapper around one that is not installed."""
    if path is None:
        return False
    return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
