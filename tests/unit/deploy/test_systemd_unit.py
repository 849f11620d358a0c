"""deploy/freshet.service: what systemd itself says of it, and what the program does with it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.systemd import UNIT

MOST_EXPOSED = 25  # tenths


def settings() -> dict[str, list[str]]:
    """Its lines by name, in order."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def analyze(*arguments: str) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze")
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    program = settings()["ExecStart"][0].split()[0]
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(program, "/bin/true"), encoding="utf-8")
    assert analyze("verify", "--man=no", str(unit)) == ""


def test_it_is_hardly_exposed() -> None:
    analyze("security", "--offline=yes", f"--threshold={MOST_EXPOSED}", str(UNIT))


def test_it_waits_for_what_the_server_says_and_gives_it_time_to_end() -> None:
    found = settings()
    assert found["Type"] == ["notify"]
    assert int(found["WatchdogSec"][0]) >= 10
    assert int(found["TimeoutStopSec"][0]) > 10, "Freshet takes up to 10 s"
    assert found["Restart"] == ["always"]
    assert found["ExecStart"] == ["/opt/freshet/.venv/bin/python manage.py run --no-demo"]
    assert "DATABASE_URL" not in str(found["Environment"]), "an empty one in the file would win"


def test_the_manual_names_what_root_has_to_loosen() -> None:
    manual = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    for name in ("RestrictNamespaces", "PrivateUsers", "CapabilityBoundingSet", "SystemCallFilter"):
        assert name in settings()
        assert f"`{name}`" in manual


def test_ci_installs_what_these_tests_need() -> None:
    assert "needed+=(systemd)" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
