"""Programs and packages that the bench may find or not, and their versions."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from server.config.addresses import ROOT

VENV = ROOT / ".venv-bench"
USER = VENV / "user" / "bin" / "python"
STEADY = VENV / "steady"
AUTOCANNON = VENV / "node_modules" / "autocannon" / "autocannon.js"
PACKAGES = "aiohttp fastapi granian httptools starlette uvicorn uvloop".split()
ASK = """
import importlib.metadata as known, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = known.version(name)
    except known.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def python() -> Path:
    """The Python that has the other servers' packages."""
    return VENV / "bin" / "python"


def freshets_python() -> str:
    """The Python that has what users of Freshet install, and nothing else; else this one."""
    return str(USER) if USER.exists() else sys.executable


def packages() -> dict[str, str]:
    """Versions of what the other servers need, as far as they are installed."""
    if not python().exists():
        return {}
    command = [str(python()), "-c", ASK, *PACKAGES]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    versions: dict[str, str] = json.loads(found)
    return versions


def version(name: str) -> str | None:
    """The version of a program; None if it is not installed."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        return None
    done = subprocess.run([path, "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+[\w.-]*", done.stdout + done.stderr)
    return found[0].rstrip(".") if found else "of an unknown version"


def program(name: str) -> str:
    """Where an installed program is."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise FileNotFoundError(name)
    return path


def autocannon() -> str | None:
    """Its version; None if it or node is missing."""
    if not AUTOCANNON.exists() or shutil.which("node") is None:
        return None
    return str(json.loads((AUTOCANNON.parent / "package.json").read_text())["version"])
