"""What Freshet writes: no other user of the machine can read, lock, replace or redirect it."""

import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.commands import demo
from server.config import private_files, settings
from server.database.embedded import EmbeddedPostgres
from server.database.embedded.ownership import Ownership
from server.errors import EmbeddedPostgresError, FreshetError
from tests.support.paths import ROOT
from tests.support.postgres_processes import runs
from tests.support.private_files import NOBODY, as_nobody, locked_by_nobody

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="takes another user")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
REFUSED = 66  # flock(1): the file cannot be opened


def code_as_nobody(*command: str) -> int:
    with as_nobody(*command) as process:
        return process.wait(10)


def wait_for_the_end(pid: int) -> None:
    """Wait until a process is gone or a zombie, which holds no lock."""
    for _ in range(1000):
        if runs(pid):
            time.sleep(0.01)


@pytest.fixture
def careless() -> Iterator[None]:
    """The umask under which everything that is made belongs to everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_and_close(path: Path) -> None:
    private_files.open_lock(path).close()


@pytest.mark.usefixtures("careless")
def test_what_is_made_is_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "deep" / "inside"
    private_files.make_folder(folder)
    assert {mode(folder), mode(folder.parent)} == {0o755}
    private_files.make_folder(folder)
    open_and_close(folder / "lock")
    assert mode(folder / "lock") == 0o600


@ROOT_ONLY
def test_another_user_can_neither_lock_nor_read_a_lock_file(reachable: Path) -> None:
    path = reachable / "lock"
    path.touch(mode=0o644)
    assert code_as_nobody("flock", "-n", str(path), "true") == 0
    open_and_close(path)  # a file of an earlier version
    assert mode(path) == 0o600
    assert code_as_nobody("flock", "-n", str(path), "true") == REFUSED
    assert code_as_nobody("cat", str(path)) == 1


@ROOT_ONLY
def test_a_link_a_second_name_and_the_file_of_another_user_are_refused(reachable: Path) -> None:
    target, path = reachable / "target", reachable / "lock"
    target.touch(mode=0o644)
    path.symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        private_files.open_lock(path)
    path.unlink()
    path.hardlink_to(target)
    with pytest.raises(PermissionError, match="is not a file of its own: remove it"):
        private_files.open_lock(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(PermissionError, match="is not a file of its own: remove it"):
        private_files.open_lock(path)
    path.unlink()
    path.touch()
    os.chown(path, NOBODY.pw_uid, -1)
    with pytest.raises(PermissionError, match="belongs to the user nobody: remove it"):
        private_files.open_lock(path)
    assert mode(target) == 0o644, "the target was changed"


@ROOT_ONLY
def test_a_lock_that_root_makes_belongs_to_the_owner_of_the_folder(reachable: Path) -> None:
    os.chown(reachable, NOBODY.pw_uid, NOBODY.pw_gid)
    open_and_close(reachable / "lock")
    assert (reachable / "lock").stat().st_uid == NOBODY.pw_uid
    assert code_as_nobody("flock", "-n", str(reachable / "lock"), "true") == 0


@LINUX
@ROOT_ONLY
def test_the_holder_of_a_lock_is_named(reachable: Path) -> None:
    path = reachable / "lock"
    path.touch()
    assert private_files.holder(path) is None
    with locked_by_nobody(path) as pid:
        holder = private_files.holder(path)
        assert holder is not None
        assert (holder.pid, holder.uid) == (pid, NOBODY.pw_uid)
        start = f"process {pid} of the user nobody: flock {path} sh -c echo locked"
        assert str(holder).startswith(start)


@LINUX
@ROOT_ONLY
def test_a_database_whose_lock_another_user_took_says_so_at_once(reachable: Path) -> None:
    folder = reachable / "data"
    lock = Path(f"{folder}.lock")
    lock.touch(mode=0o644)
    with locked_by_nobody(lock) as pid:
        for command in ("flock", "sleep 60"):  # which inherits it from flock(1)
            with pytest.raises(EmbeddedPostgresError) as caught:
                EmbeddedPostgres(folder).start()
            start = re.escape(f"{lock} is locked by process ") + rf"(\d+) .* nobody: {command}"
            found = re.match(start, caught.value.fault)
            assert found, caught.value.fault
            assert (int(found[1]) == pid) == (command == "flock")
            assert caught.value.fix == f"end that process: kill {found[1]}"
            subprocess.run(caught.value.fix.partition(": ")[2].split(), check=True)
            wait_for_the_end(int(found[1]))
    ownership = Ownership(folder)
    assert ownership.acquire()
    assert code_as_nobody("flock", "-n", str(lock), "true") == REFUSED
    ownership.release()


@ROOT_ONLY
def test_a_folder_of_another_user_is_not_taken_for_ones_own(reachable: Path) -> None:
    folder = reachable / "data"
    folder.mkdir()
    script = (
        "import os, sys; from pathlib import Path;"
        "from server.database.embedded.ownership import Ownership;"
        "os.setuid(int(sys.argv[1])); Ownership(Path(sys.argv[2])).acquire()"
    )
    taken = subprocess.run(
        [sys.executable, "-c", script, str(NOBODY.pw_uid), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{folder} belongs to the user root: run Freshet as that user" in taken.stderr


@LINUX
@ROOT_ONLY
@pytest.mark.usefixtures("careless")
def test_the_demo_is_closed_to_others_and_names_a_stranger_who_holds_its_lock(
    reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(reachable))
    with demo.only_one():
        demo._secret()
    files = {each.name: mode(each) for each in (reachable / "demo").iterdir()}
    assert files == {"lock": 0o600, "secret": 0o600}
    assert mode(reachable / "demo") == 0o755
    lock = reachable / "demo" / "lock"
    lock.chmod(0o644)  # as an earlier version left it
    with (
        locked_by_nobody(lock) as pid,
        pytest.raises(FreshetError, match=f"locked by process {pid} of the user nobody: flock"),
        demo.only_one(),
    ):
        pass
    assert mode(lock) == 0o600


@pytest.mark.parametrize("name", ["CLIENT_SECRET", "SECRET", "DATABASE_URL"])
def test_a_file_with_a_secret_that_others_can_read_is_told_with_its_fix(
    dotenv: Path, tmp_path: Path, name: str
) -> None:
    secret = tmp_path / "a secret"
    secret.touch(mode=0o600)
    dotenv.write_text(f"{name}_FILE='{secret}'\nCLIENT_ID_FILE=/etc/passwd\n")
    dotenv.chmod(0o600)
    assert settings.remarks() == []
    secret.chmod(0o640)
    (remark,) = settings.remarks()
    assert (remark.event, remark.about) == ("secret_file_readable", f"{name}_FILE")
    assert "can be read by other users of this machine (mode 640)" in remark.text
    subprocess.run(remark.fix, shell=True, check=True)
    assert settings.remarks() == []
    assert mode(secret) == 0o600


def test_places_that_only_the_service_sees_need_no_private_files(
    dotenv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").touch(mode=0o644)
    dotenv.write_text(f"SECRET_FILE={tmp_path}/secret\n")
    dotenv.chmod(0o600)
    assert [each.about for each in settings.remarks()] == ["SECRET_FILE"]
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert settings.remarks() == []


@ROOT_ONLY
def test_a_file_of_another_user_is_given_to_ours_before_it_is_closed(
    dotenv: Path, tmp_path: Path
) -> None:
    dotenv.touch(mode=0o644)
    os.chown(dotenv, NOBODY.pw_uid, NOBODY.pw_gid)
    (remark,) = settings.remarks()
    assert remark.fix == f"chown root {dotenv} && chmod 600 {dotenv}"
    subprocess.run(remark.fix, shell=True, check=True)
    assert settings.remarks() == []


@ROOT_ONLY
def test_settings_that_another_user_must_not_see_are_not_seen(reachable: Path) -> None:
    file = reachable / ".env"
    subprocess.run(["install", "-m", "600", ROOT / ".env.example", file], check=True)
    assert code_as_nobody("cat", str(file)) == 1
