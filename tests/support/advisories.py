"""Say which pinned packages have a known advisory: `python -m tests.support.advisories FILE...`.

Asks OSV (osv.dev), which has PyPI's and GitHub's advisories, once for all packages. Exits 1 with an
advisory, and 0 without one or where nobody answers, which it says. FRESHET_OSV_URL names another
server with the same API.

Source: google.github.io/osv.dev/post-v1-querybatch.
"""

import json
import os
import re
import sys
import threading
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

URL = "https://api.osv.dev"
SECONDS = 10.0  # for the whole answer, however slowly it comes
MOST_BYTES = 16 * 1024 * 1024
PIN = re.compile(r"^([a-z0-9-]+)==([^\s;\\]+)", re.MULTILINE)
# Advisories that do not concern Freshet, each with the reason; `make check` names them no more.
NOT_OURS: dict[str, str] = {}


def pins(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Return the name and version of each package that the requirements pin, sorted."""
    return sorted({pin for text in texts for pin in PIN.findall(text)})


def ask(url: str, packages: list[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """Return the advisory ids of each affected package. Raises OSError or ValueError."""
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        for name, version in packages
    ]
    request = urllib.request.Request(
        f"{url}/v1/querybatch",
        json.dumps({"queries": queries}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        results = json.loads(answer.read(MOST_BYTES))["results"]
    if len(results) != len(packages):
        raise ValueError("the answer is about other packages")
    found = {
        package: [each["id"] for each in result.get("vulns", ()) if each["id"] not in NOT_OURS]
        for package, result in zip(packages, results, strict=True)
    }
    return {package: ids for package, ids in found.items() if ids}


def ask_in_time(url: str, packages: list[tuple[str, str]], seconds: float) -> Any:
    """Return what `ask` returns, or why it failed, as text."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(ask(url, packages))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            outcome.append(str(error) or type(error).__name__)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else f"no answer in {seconds:g} s"


def main(files: list[str], seconds: float = SECONDS) -> int:
    """Print the advisories; returns the exit code."""
    packages = pins(Path(each).read_text(encoding="utf-8") for each in files)
    url = os.environ.get("FRESHET_OSV_URL") or URL
    found = ask_in_time(url, packages, seconds)
    if isinstance(found, str):
        print(f"Advisories: {url} could not be asked ({found}), so nothing is known of any.")
        return 0
    for (name, version), ids in found.items():
        links = ", ".join(f"https://osv.dev/vulnerability/{each}" for each in ids)
        print(f"Advisories: {name} {version} has {links}")
    if found:
        print('Take a fixed version with `make lock UPGRADE="--upgrade-package NAME"`.')
        return 1
    print(f"Advisories: none for the {len(packages)} pinned packages.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
