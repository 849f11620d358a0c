"""On what, with what and when was measured."""

import platform
import re
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from server import __version__
from tests.bench.http import tools
from tests.bench.http.cores import Cores

OURS = ("tornado", "sqlalchemy", "orjson")


def describe(cores: Cores, command: str) -> list[str]:
    """Lines of a list in Markdown."""
    packages = tools.packages()
    others = {name: tools.version(name) for name in ("wrk", "nginx")}
    others["autocannon"] = tools.autocannon()
    with_uvloop = "uvloop" if sys.platform != "win32" else "tornado"
    return [
        f"- date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- command: `{command}`",
        f"- machine: {cores.count} cores of {_model()}; {platform.system()} {platform.release()}, "
        f"{platform.machine()}",
        f"- Freshet {__version__}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in dict.fromkeys((*OURS, with_uvloop))),
        "- the others: "
        + ", ".join(f"{name} {found}" for name, found in {**packages, **others}.items() if found),
    ]


def _model() -> str:
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else "an unknown model"
