"""The Dockerfile's own commands, in a clean folder instead of an image, as a user without rights.

What Docker does with paths, a user and the environment is done by hand; what runs is the file's.
"""

import importlib.util
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.dockerfile import Step, steps
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.server_processes import standin_settings
from tests.support.settings import SECRET

STEPS = steps(ROOT / "Dockerfile")
INSTALLING = 300  # seconds; the packages come from the network


@dataclass
class Image:
    """A folder in place of an image's root, built as the Dockerfile says."""

    root: Path
    directory: str = "/"
    user: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    check: list[str] = field(default_factory=list)

    def inside(self, text: str) -> str:
        """Paths of the image as those of the folder."""
        return re.sub(r"(?<![\w./])/(app|venv)\b", rf"{self.root}/\1", text)

    def build(self) -> None:
        for step in STEPS:
            getattr(self, f"do_{step.word.lower()}")(step)

    def do_from(self, step: Step) -> None:
        """A new stage, with a Python and its pip and nothing else."""
        base = self.root / "python"
        self.directory = "/"
        self.environment = {"PATH": f"{base}/bin:/usr/bin:/bin"}
        if not base.exists():
            give_pip(base)
        shutil.rmtree(self.root / "app", ignore_errors=True)

    def do_workdir(self, step: Step) -> None:
        self.directory = self.inside(step.text)
        Path(self.directory).mkdir(parents=True, exist_ok=True)

    def do_copy(self, step: Step) -> None:
        if step.text.startswith("--from=build "):
            assert step.text.split()[1:] == ["/venv", "/venv"], "which is there already"
            return
        *sources, target = step.text.split()
        for source in sources:
            if (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, Path(self.directory) / target, ignore=ignored)
            else:
                shutil.copy(ROOT / source, Path(self.directory))

    def do_run(self, step: Step) -> None:
        """As it stands, but accounts are made in the folder's own /etc."""
        etc = self.root / "etc"
        etc.mkdir(exist_ok=True)
        for name in ("passwd", "group", "shadow", "gshadow", "login.defs"):
            if not (etc / name).exists() and Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), etc)
        text = re.sub(r"\b(useradd|groupadd)\b", rf"/usr/sbin/\1 --prefix {self.root}", step.text)
        if os.geteuid() != 0:
            text = re.sub(r"(chown \S+|/usr/sbin/(?:useradd|groupadd) .*?)(?= &&|$)", "true", text)
        done = subprocess.run(
            ["/bin/sh", "-ec", self.inside(text)],
            cwd=self.directory,
            env={**self.environment, **pip_settings()},
            capture_output=True,
            text=True,
            timeout=INSTALLING,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def do_env(self, step: Step) -> None:
        for word in shlex.split(self.inside(step.text)):
            name, _, value = word.partition("=")
            self.environment[name] = value.replace("$PATH", self.environment.get("PATH", ""))

    def do_user(self, step: Step) -> None:
        self.user = step.text

    def do_cmd(self, step: Step) -> None:
        self.command = orjson.loads(step.text)

    def do_healthcheck(self, step: Step) -> None:
        self.check = orjson.loads(step.text.partition(" CMD ")[2])

    def do_nothing(self, step: Step) -> None:
        """Only an engine can."""

    do_label = do_volume = do_expose = do_stopsignal = do_nothing


def nobody() -> dict[str, Any]:
    """To run as a user without rights: the image's has no name here, so `nobody` plays it."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def a_python() -> str:
    """One that is new enough and that everybody can run, which one in root's home is not."""
    enough = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    for python in (f"{sys.base_prefix}/bin/python3", "/usr/bin/python3", "/usr/local/bin/python3"):
        with suppress(OSError):
            done = subprocess.run(
                [python, "-c", enough], cwd="/", capture_output=True, check=False, **nobody()
            )
            if done.returncode == 0:
                return python
    raise AssertionError("there is no Python that everybody can run")


def give_pip(base: Path) -> None:
    """Make an environment with pip: a copy of one that is installed, or the one of ensurepip.

    The latter takes 3 s of CPU time more, nearly all of it to compile pip.
    """
    installed = importlib.util.find_spec("pip")
    without = [] if installed is None else ["--without-pip"]
    subprocess.run([a_python(), "-m", "venv", *without, str(base)], check=True, timeout=60)
    if installed is not None and installed.origin is not None:
        (packages,) = base.glob("lib/python3*/site-packages")
        shutil.copytree(Path(installed.origin).parent, packages / "pip")


def pip_settings() -> dict[str, str]:
    """Where packages come from is the machine's affair."""
    names = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "SSL_CERT_FILE")
    return {name: value for name, value in os.environ.items() if name.startswith(names)}


@pytest.fixture
def image() -> Iterator[Image]:
    folder = Path(tempfile.mkdtemp(prefix="freshet-image-"))
    folder.chmod(0o755)
    try:
        built = Image(folder)
        built.build()
        if os.geteuid() == 0:
            account = pwd.getpwnam("nobody")
            assert (folder / "app" / "var").stat().st_uid == int(built.user.split(":")[0])
            os.chown(folder / "app" / "var", account.pw_uid, account.pw_gid)
        yield built
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def get(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


@contextmanager
def nothing_written_but_in_var(image: Image) -> Iterator[None]:
    """The root may be read-only."""

    def elsewhere() -> set[Path]:
        return {path for path in (image.root / "app").rglob("*") if "var" not in path.parts}

    before = elsewhere()
    yield
    assert elsewhere() == before
    assert (image.root / "app" / "var" / "postgres" / "PG_VERSION").exists()


def serves_with_its_own_database(image: Image, spotify: str, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    env = image.environment | {
        "CLIENT_ID": "standin-client",
        "CLIENT_SECRET": "standin-secret",
        "SECRET": SECRET,
        **standin_settings(spotify),
    }
    command = [str(port) if word == "5000" else word for word in image.command]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=image.directory, env=env, stdout=out, stderr=out, **nobody()
        )
    try:
        deadline = time.monotonic() + 60
        while get(port, "/readyz")[0] != 200:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        assert get(port, "/healthz")[0] == 200
        status, body = get(port, "/api/artists/")
        assert status == 200
        assert orjson.loads(body)["total"] > 0
        check = [word.replace(":5000/", f":{port}/") for word in image.check]
        healthy = subprocess.run(check, cwd=image.directory, env=env, check=False, **nobody())
        assert healthy.returncode == 0
        if os.geteuid() == 0:
            owner = Path(f"/proc/{process.pid}").stat().st_uid
            assert owner == pwd.getpwnam("nobody").pw_uid
        process.terminate()
        assert process.wait(15) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def check_of_nobody_fails(image: Image) -> None:
    check = [word.replace(":5000/", f":{free_port()}/") for word in image.check]
    done = subprocess.run(
        check,
        cwd=image.directory,
        env=image.environment,
        capture_output=True,
        check=False,
        **nobody(),
    )
    assert done.returncode == 1


def migrations_run_in_it_alone_and_may_be_repeated(image: Image) -> None:
    for _ in range(2):
        done = subprocess.run(
            ["python", "manage.py", "create_db"],
            cwd=image.directory,
            env=image.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **nobody(),
        )
        assert done.returncode == 0, done.stderr
        assert "the newest" in done.stdout


def what_runs_has_no_pip(image: Image) -> None:
    assert not list((image.root / "venv" / "bin").glob("pip*"))
    done = subprocess.run(
        [str(image.root / "venv" / "bin" / "python"), "-m", "pip"], capture_output=True, check=False
    )
    assert done.returncode != 0


@pytest.mark.skipif(not os.environ.get("CI"), reason="it installs all packages anew: CI=1")
def test_the_dockerfiles_commands_make_a_server_that_serves_migrates_and_is_checked(
    image: Image, spotify: str, tmp_path: Path
) -> None:
    what_runs_has_no_pip(image)
    check_of_nobody_fails(image)
    with nothing_written_but_in_var(image):
        migrations_run_in_it_alone_and_may_be_repeated(image)
        serves_with_its_own_database(image, spotify, tmp_path)
