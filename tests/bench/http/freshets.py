"""Freshet as it is measured: real processes, a real database, filled by a sync."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from server.config.addresses import ROOT
from server.database.embedded import EmbeddedPostgres
from tests.bench.http import tools
from tests.bench.http.control import Servant
from tests.bench.http.cores import POLITE, Cores
from tests.bench.http.process import await_answer, stop
from tests.support.ports import free_port

PATH = "/api/artists/"
FILL_SECONDS = 120.0


class World:
    """PostgreSQL and the stand-in, beside the load, and not in its way."""

    def __init__(self, cores: Cores, folder: Path) -> None:
        self._cores = cores
        self._postgres = EmbeddedPostgres(folder / "postgres", {"shared_buffers": "128MB"})
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cores.rest})  # which what it starts inherits
        try:
            self._postgres.start()
        finally:
            os.sched_setaffinity(0, before)
        self._let_it_wait(folder / "postgres")
        self.standin = Servant(cores, "tests.bench.http.standin", cores.rest, polite=True)
        self._filled: dict[tuple[int, Path], URL] = {}

    def _let_it_wait(self, data: Path) -> None:
        """Those that PostgreSQL starts later are as polite."""
        pid = int((data / "postmaster.pid").read_text().split()[0])
        for each in Path("/proc").glob("[0-9]*/stat"):
            try:
                if str(pid) in (each.parent.name, each.read_text().rsplit(")", 1)[1].split()[1]):
                    os.setpriority(os.PRIO_PROCESS, int(each.parent.name), POLITE)
            except OSError:
                continue

    def filled(self, releases: int, checkout: Path = ROOT) -> URL:
        """A database with so many releases, which a checkout fills once, as a user would.

        Raises CalledProcessError.
        """
        if (key := (releases, checkout)) not in self._filled:
            url = self._postgres.url.set(database=f"bench_{len(self._filled)}")
            environment = self.environment(url, releases)
            for command in ("create_db", "sync"):
                subprocess.run(
                    [sys.executable, "manage.py", command],
                    cwd=checkout,
                    env=environment,
                    check=True,
                    stdout=subprocess.DEVNULL,
                    timeout=FILL_SECONDS,
                )
            self._filled[key] = url
        return self._filled[key]

    def environment(self, url: URL, releases: int, **settings: str) -> dict[str, str]:
        """What a server's settings are: those of this machine must not decide a figure."""
        given = {
            "CLIENT_ID": "standin-client",
            "CLIENT_SECRET": "standin-secret",
            "SECRET": "a secret for the bench that is long enough",
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "PORT": str(free_port()),
            "HOST": "127.0.0.1",
            "LOG_FORMAT": "json",
            "SYNC_INTERVAL": "0",
            "SYNC_SOURCE": "search",
            "SYNC_MAX_RELEASES": str(releases),
            "QUOTA_PER_DAY": "1000000",
            "CACHE_TTL": "3600",
            "ACCESS_LOG": "summary",
            **settings,
        }
        address = self.standin.tell("start", size=releases)
        given |= {"SPOTIFY_API_URL": f"{address}/v1", "SPOTIFY_ACCOUNTS_URL": address}
        return {**os.environ, **given}

    def close(self) -> None:
        self.standin.close()
        self._postgres.stop()


class Manage:
    """`manage.py run` as users run it, its log thrown away."""

    def __init__(self, cores: Cores, environment: dict[str, str], *where: int, args: Any = ()):
        self.port = int(environment["PORT"])
        self.process = cores.start(
            [tools.freshets_python(), "manage.py", "run", *args],
            *where,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        await_answer(self.process, self.port, PATH)

    def close(self) -> None:
        stop(self.process)


class Bench:
    """`tests.bench.http.server` of a checkout, which takes orders by `tell`."""

    def __init__(
        self, cores: Cores, environment: dict[str, str], *, lane: bool, checkout: Path = ROOT
    ) -> None:
        self._servant = Servant(
            cores, "tests.bench.http.server", cores.server, cwd=checkout, env=environment
        )
        self.process = self._servant.process
        self.port: int = self._servant.tell("start", lane=lane)
        self.tell = self._servant.tell
        await_answer(self.process, self.port, PATH)

    def close(self) -> None:
        self._servant.close()
