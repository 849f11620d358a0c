"""The program under a service manager: what that hears, and who is restarted."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.server_processes import NOTHING, Server, environment, standin_settings
from tests.support.settings import SECRET
from tests.support.systemd import UNIT, manager, wait_for

SYSTEMD = Path("/lib/systemd/systemd")
# A manager of its own, where nothing of the machine's is seen or changed.
BOOT = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
"$0" --user --log-target=console &
for _ in $(seq 100); do [ -S "$XDG_RUNTIME_DIR/systemd/private" ] && break; sleep 0.05; done
timeout 60 systemctl --user start freshet.service; echo "started $?"
"$1" -c "import urllib.request as u; print(u.urlopen('http://127.0.0.1:$2/healthz').status)"
timeout 20 systemctl --user stop freshet.service; echo "stopped $?"
"""

Run = Callable[..., Server]


def served(run: Run, env: dict[str, str], *arguments: str) -> Server:
    server: Server = run(*arguments, env=env)
    server.event("server_started", 60)
    return server


def test_a_server_says_when_it_is_ready_alive_and_stopping(
    run: Run,
    database_url: URL,
    spotify: str,
    tmp_path: Path,
) -> None:
    address = str(tmp_path / "notify")
    env = environment(database_url, NOTIFY_SOCKET=address, **standin_settings(spotify))
    with manager(address) as heard:
        server = served(run, env | {"WATCHDOG_USEC": "900000"})
        (ready,) = [each for each in wait_for(heard, "READY=1") if each.startswith("READY")]
        assert ready == f"READY=1\nMAINPID={server.process.pid}"
        assert server.get("/healthz")[0] == 200
        wait_for(heard, "WATCHDOG=1")
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(0.2)
        heard()
        time.sleep(1)
        assert heard() == []
        os.kill(server.process.pid, signal.SIGCONT)
        assert server.stop() == 0
        assert "STOPPING=1" in heard()


def test_a_parent_tells_for_all_and_restarts_one_whose_loop_is_stuck(
    run: Run,
    database_url: URL,
    spotify: str,
    tmp_path: Path,
) -> None:
    address = str(tmp_path / "notify")
    env = environment(database_url, NOTIFY_SOCKET=address, **standin_settings(spotify))
    with manager(address) as heard:
        server = served(run, env | {"WATCHDOG_USEC": "3000000"}, "--processes", "2")
        messages = wait_for(heard, "READY=1")
        assert {line["process"] for line in server.events("process_started")} == {1, 2}
        assert f"READY=1\nMAINPID={server.process.pid}" in messages
        pid = server.events("process_started")[0]["pid"]
        os.kill(pid, signal.SIGSTOP)
        assert server.event("process_killed", 20)["reason"] == "its loop has not turned for 3 s"
        died = server.event("process_died")
        assert (died["pid"], died["signal"]) == (pid, "SIGKILL")
        deadline = time.monotonic() + 60
        while len(server.events("process_started")) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        heard()
        wait_for(heard, "WATCHDOG=1")
        assert server.stop() == 0
        assert len(server.events("process_killed")) == 1
        assert "STOPPING=1" in heard()


def test_systemd_starts_it_from_the_example_as_documented(
    spotify: str, manage_py: Path, tmp_path: Path
) -> None:
    rights = [] if os.geteuid() == 0 else ["-Ur"]
    alone = ["unshare", *rights, "-mpf", "--kill-child", "--mount-proc"]
    if not SYSTEMD.exists() or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("there is no systemd, or no namespace for one")
    port, example = free_port(), (ROOT / ".env.example").read_text(encoding="utf-8")
    values = {
        "CLIENT_ID": "standin-client",
        "CLIENT_SECRET": "standin-secret",
        "SECRET": SECRET,
        "PORT": str(port),
        **standin_settings(spotify),
    }
    for name, value in values.items():
        example = re.sub(f"^{name}=$", f"{name}={value}", example, flags=re.MULTILINE)
    assert "\nDATABASE_URL=\n" in example
    (tmp_path / "freshet.env").write_text(example, encoding="utf-8")
    unit = tmp_path / "config" / "systemd" / "user" / "freshet.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(_for_a_user(manage_py, tmp_path), encoding="utf-8")
    done = subprocess.run(
        [*alone, "sh", "-c", BOOT, str(SYSTEMD), sys.executable, str(port)],
        env=NOTHING
        | {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": "/run/user"}
        | {"XDG_CONFIG_HOME": str(tmp_path / "config")}
        | {"XDG_STATE_HOME": str(tmp_path / "config")},  # where newer ones keep state
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert re.findall(r"^(?:started|stopped|\d+).*", done.stdout, re.MULTILINE) == [
        "started 0",
        "200",
        "stopped 0",
    ], done.stdout + done.stderr
    assert (tmp_path / "config" / "freshet" / "postgres" / "PG_VERSION").exists()
    assert not (manage_py.parent / "var" / "postgres").exists()


def _for_a_user(manage_py: Path, place: Path) -> str:
    """Return the unit as a manager without rights can run it: at other paths, less locked up."""
    text = UNIT.read_text(encoding="utf-8").partition("ProtectSystem=")[0]
    text = re.sub(r"^(User|Group|LimitNOFILE)=.*\n", "", text, flags=re.MULTILINE)
    text = text.replace("/opt/freshet/.venv/bin/python", sys.executable)
    text = text.replace("/opt/freshet", str(manage_py.parent))
    return text.replace("/etc/freshet/freshet.env", str(place / "freshet.env"))
