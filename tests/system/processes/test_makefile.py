"""Each target of the Makefile works: CI runs it, or a short form of it, or it is tried here."""

import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.ports import free_port, is_open
from tests.support.server_processes import NOTHING
from tests.support.waiting import wait_until

MAKEFILE = ROOT / "Makefile"
STARTING = 40  # seconds
INSTEAD = {  # what tries a target that CI does not run as it is
    "install": "check",
    "soak": "test",
    "bench": "bench-short",
    "soak-lane": "bench-short",
    "run": "test",
    "clean": "test",
    "test-fast": "test",
    "picture": "test",  # tests/system/browser/test_picture.py makes one in build/
    "lock": "test",  # tests/unit/test_requirements.py reads what it wrote
}


def test_ci_runs_each_target_or_a_short_form_of_it() -> None:
    phony = re.search(r"^\.PHONY: (.*)", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    runs = set(re.findall(r"^make ([a-z-]+)$", steps, re.MULTILINE))  # but those that make a file
    assert runs | set(INSTEAD) == set(phony[1].split())
    assert set(INSTEAD.values()) <= runs


@pytest.fixture
def make(manage_py: Path, tmp_path: Path) -> Iterator[list[str]]:
    """The start of a command, for a copy of the program; the packages are those of this Python."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    requirements = manage_py.parent / "requirements.txt"
    requirements.touch()
    (tmp_path / "venv" / ".installed").touch()  # the younger one: nothing is to be installed
    yield ["make", "--no-print-directory", "-f", str(MAKEFILE), f"VENV={tmp_path / 'venv'}"]
    requirements.unlink()


def test_make_run_serves_the_demo_until_it_is_interrupted(
    make: list[str], manage_py: Path, demo_env: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        if not is_open(port):
            return False
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/api/artists/")
        status = connection.getresponse().status
        connection.close()
        return status == 200

    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*make, "run"],
            cwd=manage_py.parent,
            env=demo_env | {"PORT": str(port)},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        wait_until(answers, STARTING)
        process.send_signal(signal.SIGTERM)  # which make hands on
        process.wait(15)
        assert not is_open(port)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert "CLIENT_ID is not set, so this is the DEMO" in log.read_text()


@pytest.mark.parametrize("content", ["\ufeffclient_id=our-id\n", "CLIENT_ID_FILE=/dev/null\n"])
def test_make_run_starts_no_demo_once_there_is_a_client_id(
    make: list[str], manage_py: Path, content: str
) -> None:
    env_file = manage_py.parent / ".env"
    env_file.write_text(content, encoding="utf-8")
    try:
        done = subprocess.run(
            [*make, "run"],
            cwd=manage_py.parent,
            env=NOTHING,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        env_file.unlink()
    assert done.returncode != 0
    assert "DEMO" not in done.stderr
    assert "CLIENT_SECRET  is missing" in done.stderr


def test_make_clean_takes_away_what_make_has_made_and_nothing_else(
    make: list[str], tmp_path: Path
) -> None:
    made = [".venv-bench", ".mypy_cache", ".ruff_cache", ".pytest_cache"]
    kept = ["var", ".env", "tests"]
    place = tmp_path / "place"
    for name in made + kept:
        (place / name).mkdir(parents=True)
        (place / name / "file").touch()
    subprocess.run([*make, "clean"], cwd=place, check=True, capture_output=True)
    assert sorted(each.name for each in place.iterdir()) == sorted(kept)
    assert not (tmp_path / "venv").exists()


AWKWARD = {
    "PYTHONSAFEPATH": "1",
    "PIP_USER": "yes",
    "PIP_REQUIRE_VIRTUALENV": "yes",
    "PIP_TARGET": "/nowhere",
    "PIP_PREFIX": "/nowhere",
}


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


class Checkout:
    """A place with the Makefile's requirements: one package, which is there as a file."""

    def __init__(self, place: Path) -> None:
        self.place = place
        about = "tiny-1.0.dist-info"
        with zipfile.ZipFile(place / "tiny-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("tiny.py", "")
            wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")
        (place / "requirements.txt").write_text("./tiny-1.0-py3-none-any.whl\n")
        script(place / "bin" / "python3", "exit 1")  # which is too old
        without_pip = 'case "$2" in venv) set -- "$@" --without-pip;; esac'  # as uv does
        script(place / "bin" / "python3.14", f'{without_pip}\nexec "{sys.executable}" "$@"')

    @property
    def packages(self) -> Path:
        (found,) = self.place.glob(".venv/lib/python3*/site-packages")
        return found

    def install(self) -> "subprocess.CompletedProcess[str]":
        (self.place / ".venv" / ".installed").unlink(missing_ok=True)
        return subprocess.run(
            ["make", "--no-print-directory", "-f", str(MAKEFILE), "install"],
            cwd=self.place,
            env=NOTHING | AWKWARD | {"PATH": f"{self.place / 'bin'}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def take_pip_away(self) -> None:
        for each in self.packages.glob("pip*"):
            shutil.rmtree(each)


def test_make_installs_whatever_the_environment_says_of_pip_and_python(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    done = checkout.install()  # with a newer Python beside an older one
    assert (done.returncode, done.stderr) == (0, "")
    assert (checkout.packages / "tiny.py").exists()
    checkout.take_pip_away()
    script(tmp_path / "bin" / "uv", f'echo "$@" > {tmp_path / "asked"}')
    assert checkout.install().returncode == 0
    asked = (tmp_path / "asked").read_text().split()
    assert asked == "pip install --quiet --python .venv/bin/python -r requirements.txt".split()


def test_manage_py_finds_its_own_program_whatever_the_path(manage_py: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(manage_py), "--version"],
        env=NOTHING | {"PYTHONSAFEPATH": "1"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("freshet")


def test_the_versions_of_python_are_the_same_everywhere() -> None:
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    versions = re.findall(r"Python :: (3\.\d+)$", setup, re.MULTILINE)
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    found = re.search(r"^FIND_PYTHON = .* python3 (.*); do", MAKEFILE.read_text(), re.MULTILINE)
    assert found is not None
    assert found[1].split() == [f"python{version}" for version in reversed(versions)]
    assert f"Python {versions[0]} to {versions[-1]}" in (ROOT / "README.md").read_text()
