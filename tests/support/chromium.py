"""Find a Chromium that runs, and load all images of a page in it."""

import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = f"no Chromium that runs: none of {', '.join(NAMES)}"
LOAD_IMAGES = """() => Promise.all(Array.from(document.images, image => {
  image.loading = 'eager';
  return image.complete || new Promise(done => { image.onload = image.onerror = () => done(); });
})).then(() => null)"""


def find() -> str | None:
    """Return the path of the first of NAMES that runs; None without one."""
    return next(filter(runs, map(shutil.which, NAMES)), None)


def runs(path: str | None) -> bool:
    """Whether this is a browser, not a wrapper around one that is not installed."""
    if path is None:
        return False
    return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
