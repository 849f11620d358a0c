"""The commands as a user runs them: a process each, with nothing but the environment given.

One of each kind is a fresh interpreter; the others come from the fork_server.
"""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
from click.testing import CliRunner
from sqlalchemy import URL, create_engine, text

from server.cli import main
from tests.support.databases import CopyCluster
from tests.support.ports import free_port
from tests.support.server_processes import NOTHING, Manage, Server, environment, standin_settings
from tests.support.settings import SECRET


def test_create_db_makes_the_schema_and_keeps_what_is_there(
    manage: Manage, empty_database_url: URL
) -> None:
    env = environment(empty_database_url)
    first = manage("create_db", env=env, fresh=True)
    assert (first.returncode, first.stderr) == (0, "")
    assert re.fullmatch(r"The database is at revision \w+, the newest.\n", first.stdout)
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO sources VALUES ('search', 'allowed', NULL, now())"))
    assert manage("create_db", env=env).returncode == 0
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sources")) == 1
    engine.dispose()


def test_create_db_needs_no_spotify_account(manage: Manage, empty_database_url: URL) -> None:
    env = NOTHING | {"DATABASE_URL": empty_database_url.render_as_string(False)}
    assert manage("create_db", env=env).returncode == 0


ODD = "100% %(here)s ${HOME} #1 'q' \"d\" @h:5 é☃ ; & \\ [x] a,b "


def test_a_checkout_may_have_any_path(
    manage_py: Path, run: Callable[..., Server], spotify: str, tmp_path: Path
) -> None:
    odd = tmp_path / ODD
    shutil.copytree(manage_py.parent, odd, ignore=shutil.ignore_patterns("var"))
    env = NOTHING | {"ALEMBIC_CONFIG": "setup.cfg"}
    for words, said in (
        (["manage.py", "create_db"], "The database is at revision "),
        (["-m", "alembic", "current"], "(head)\n"),
    ):
        command = [sys.executable, "-W", "error", *words]
        done = subprocess.run(
            command, cwd=odd, env=env, capture_output=True, text=True, check=False
        )
        assert said in done.stdout, done.stderr
    settings = environment("embedded:", **standin_settings(spotify))
    server = run(env=settings, program=odd / "manage.py")
    server.event("sync_finished")
    assert server.get("/api/artists/")[0] == 200
    assert server.stop() == 0


def test_create_db_says_clearly_that_there_is_no_database(manage: Manage) -> None:
    port = free_port()
    env = environment(f"postgresql://me:hidden-password@127.0.0.1:{port}/freshet")
    result = manage("create_db", env=env)
    assert result.returncode == 1
    assert result.stderr.startswith("Freshet stopped: ")
    assert str(port) in result.stderr
    assert "hidden-password" not in result.stderr
    assert "Traceback" not in result.stderr


def test_sync_brings_releases_in_and_tells_what_it_did(
    manage: Manage, database_url: URL, spotify: str
) -> None:
    env = environment(database_url, **standin_settings(spotify))
    first = manage("sync", env=env, fresh=True)
    assert first.returncode == 0, first.stderr
    assert "The sync from search is complete" in first.stdout
    assert re.search(r"\d+ releases seen, [1-9]\d* added", first.stdout)
    second = manage("sync", "--source", "search", env=env)
    assert " 0 added, 0 updated, 0 gone" in second.stdout


def test_a_sync_that_fails_exits_1_and_says_why(
    manage: Manage, database_url: URL, spotify: str
) -> None:
    settings = standin_settings(spotify) | {"CLIENT_SECRET": "wrong"}
    result = manage("sync", env=environment(database_url, **settings))
    assert result.returncode == 1
    assert "CLIENT_SECRET" in result.stdout
    assert "Traceback" not in result.stderr


def test_config_prints_settings_with_secrets_masked(manage: Manage) -> None:
    env = environment("postgresql://me:pw@db/freshet", CLIENT_SECRET="deep-secret")
    result = manage("config", env=env)
    assert result.returncode == 0
    assert "CLIENT_ID=standin-client\n" in result.stdout
    assert "DATABASE_URL=postgresql://me:***@db/freshet\n" in result.stdout
    assert "SYNC_INTERVAL=1800\n" in result.stdout
    for secret in ("deep-secret", SECRET, ":pw@"):
        assert secret not in result.stdout


def test_doctor_exits_0_when_all_is_well_and_1_with_a_fault(
    manage: Manage, database_url: URL, spotify: str
) -> None:
    env = environment(database_url, **standin_settings(spotify))
    well, ill = manage("doctor", env=env), manage("doctor", env={**env, "CLIENT_SECRET": "wrong"})
    assert (well.returncode, well.stderr) == (0, "")
    assert "ok     redirect URI  http://127.0.0.1:5000/auth/callback/" in well.stdout
    assert "note   new-releases  not available to this app" in well.stdout
    assert ill.returncode == 1
    assert "fault  credentials   Spotify refuses this CLIENT_ID" in ill.stdout


def test_doctor_notes_that_no_login_comes_back_to_localhost_and_goes_on(
    manage: Manage, database_url: URL, spotify: str
) -> None:
    env = environment(database_url, PUBLIC_URL="http://localhost:5000", **standin_settings(spotify))
    done = manage("doctor", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "note   browser login off: PUBLIC_URL uses localhost, which Spotify" in done.stdout
    assert "ok     database" in done.stdout


def test_wrong_settings_are_one_message_and_exit_2(manage: Manage) -> None:
    env = NOTHING | {"CLIENT_ID": "x", "PORT": "http", "PUBLIC_URL": "localhost:5000"}
    result = manage("run", env=env, fresh=True)
    assert result.returncode == 2
    for name in ("CLIENT_SECRET", "SECRET", "PORT", "PUBLIC_URL"):
        assert f"  {name} " in result.stderr
    assert "4 settings are missing or wrong" in result.stderr
    assert "an address such as https://" in result.stderr
    assert "manage.py init" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_help_names_every_command_and_each_has_help_of_its_own(manage: Manage) -> None:
    result = manage("--help", env=NOTHING, fresh=True)
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: manage.py")
    for name in main.commands:
        assert f"  {name} " in result.stdout
        own = CliRunner().invoke(main, [name, "--help"])
        assert (own.exit_code, own.output.count("Usage:")) == (0, 1)


def test_help_and_version_load_only_what_they_print_with(manage_py: Path) -> None:
    for word in ("--help", "--version"):
        command = [sys.executable, "-X", "importtime", str(manage_py), word]
        done = subprocess.run(command, env=NOTHING, capture_output=True, text=True, check=True)
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "click" in loaded
        assert not loaded & {"asyncio", "pydantic", "sqlalchemy", "structlog", "tornado"}


def test_a_package_that_is_missing_is_named(manage_py: Path, tmp_path: Path) -> None:
    missing = "raise ModuleNotFoundError(\"No module named 'sqlalchemy'\", name='sqlalchemy')"
    (tmp_path / "sqlalchemy.py").write_text(missing)
    env = NOTHING | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(manage_py), "config"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("The package sqlalchemy is not installed for ")
    assert "make install" in done.stderr


def test_run_serves_syncs_and_stops_cleanly(
    run: Callable[..., Server], database_url: URL, spotify: str
) -> None:
    server = run(env=environment(database_url, **standin_settings(spotify)), fresh=True)
    finished = server.event("sync_finished")
    assert finished["outcome"] == "complete"
    status, headers, body = server.get("/api/artists/")
    assert (status, headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert orjson.loads(body)["total"] > 0
    assert server.get("/readyz")[0] == 200
    assert server.stop() == 0
    events = [line["event"] for line in server.lines()]
    assert events[-1] == "server_stopped"
    for name in ("server_started", "token_refreshed", "cache_invalidated", "http_request"):
        assert name in events


def test_a_restart_serves_at_once_and_asks_for_no_token(
    run: Callable[..., Server], database_url: URL, spotify: str
) -> None:
    env = environment(database_url, **standin_settings(spotify))
    first = run(env=env)
    first.event("sync_finished")
    first.stop()
    second = run(env=env)
    planned = second.event("sync_planned")
    # 270 of 300 calls a day, ten for each sync
    assert 3100 < planned["seconds"] < 3500, "a restart is no reason to ask Spotify again"
    assert second.get("/api/artists/")[0] == 200
    events = {line["event"] for line in second.lines()}
    assert not events & {"token_refreshed", "sync_finished", "sync_failed"}


def test_the_log_holds_no_secret(
    run: Callable[..., Server], database_url: URL, spotify: str
) -> None:
    env = environment(database_url, ACCESS_LOG="all", **standin_settings(spotify))
    server = run(env=env)
    server.event("sync_finished")
    server.get("/auth/callback/?code=the-code&state=the-state")
    server.stop(signal.SIGINT)
    log = server.log.read_text()
    for secret in ("the-code", "the-state", "standin-secret", SECRET):
        assert secret not in log
    assert all({"timestamp", "level", "event"} <= set(line) for line in server.lines())


def test_a_taken_port_is_a_clear_message(
    manage: Manage, run: Callable[..., Server], database_url: URL, spotify: str
) -> None:
    env = environment(database_url, **standin_settings(spotify))
    first = run(env=env)
    first.event("server_started")
    result = manage("run", "-p", str(first.port), env=env)
    assert result.returncode == 1
    assert str(first.port) in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_database_the_server_waits_and_then_serves(
    run: Callable[..., Server], database_url: URL, spotify: str
) -> None:
    name = f"{database_url.database}_late"
    late = database_url.set(database=name, username="nobody_yet")
    server = run(env=environment(late, **standin_settings(spotify)))
    waiting = server.event("database_unavailable")
    assert waiting["retry_seconds"] > 0
    assert server.get("/healthz")[0] == 200
    assert server.get("/readyz")[0] == 503
    assert server.get("/api/artists/")[0] == 503
    admin = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE ROLE nobody_yet SUPERUSER LOGIN"))
    server.event("sync_finished", 30)
    assert server.get("/readyz")[0] == 200
    server.stop()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        connection.execute(text("DROP ROLE nobody_yet"))
    admin.dispose()


def test_the_embedded_database_outlives_a_kill(
    run: Callable[..., Server], copy_cluster: CopyCluster, tmp_path: Path, spotify: str
) -> None:
    data = copy_cluster(tmp_path / "data")
    env = environment(f"embedded:{data}", **standin_settings(spotify))
    first = run(env=env)
    first.event("sync_finished", 40)
    first.stop(signal.SIGKILL)
    second = run(env=env | {"SYNC_INTERVAL": "5", "QUOTA_PER_DAY": "1000000"})
    again = second.event("sync_finished", 40)
    assert again["added"] == 0, "what was committed before the kill is there"
    assert second.stop() == 0
    assert not (data / "postmaster.pid").exists()


def test_the_demo_needs_nothing_and_runs_once(manage: Manage, run: Callable[..., Server]) -> None:
    server = run("--demo", env=NOTHING)
    finished = server.event("sync_finished", 40)
    assert finished["source"] == "search"
    page = orjson.loads(server.get("/api/artists/?release_limit=200")[2])
    assert page["total"] > 50
    second = manage("run", "--demo", "-p", "0", env=NOTHING)
    assert (second.returncode, second.stdout) == (1, "")
    pid = server.process.pid
    assert second.stderr == (
        f"Freshet stopped: the demo is already running at http://127.0.0.1:{server.port} "
        f"(process {pid}); stop it first: kill {pid}\n"
    )
    assert server.stop() == 0


def test_the_demo_shows_what_happens_when_spotify_misbehaves(
    run: Callable[..., Server], demo_env: dict[str, str], tmp_path: Path
) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"fault": "premium", "times": null}]')
    server = run("--demo", "--faults", str(faults), env=demo_env)
    assert "Active premium subscription" in server.event("sync_failed", 40)["error"]
    assert server.stop() == 0
