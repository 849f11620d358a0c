"""The documents name every command, setting, route and parameter, and nothing else."""

import re
import subprocess
from pathlib import Path
from typing import get_args

from server.app.application import Freshet
from server.catalog.change_event import Reach
from server.catalog.query import ArtistsQuery
from server.cli import main
from server.config.settings import Settings
from server.observability.http_metrics import plain
from server.openapi.change_operations import JAVASCRIPT
from server.openapi.change_schemas import Change, ChangesPage, ReleaseSummary
from tests.support import documented

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(heading: str) -> set[str]:
    """The names in backticks of the first column of the table with this heading."""
    body = README.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    first = (line.split("|")[1] for line in body.splitlines()[2:])
    return {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}


def test_every_setting_stands_in_the_readme_and_no_other() -> None:
    assert table("name") == {name.upper() for name in Settings.model_fields}


def test_defaults_of_settings_are_those_of_the_readme() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", README, re.MULTILINE))
    for name in (
        "SYNC_INTERVAL",
        "SYNC_SOURCE",
        "SYNC_MAX_RELEASES",
        "QUOTA_PER_DAY",
        "RETENTION_DAYS",
        "CACHE_TTL",
        "CACHE_MAX_AGE",
        "EVENTS_PER_CLIENT",
    ):
        assert rows[name] == str(Settings.model_fields[name.lower()].default)


def test_every_command_stands_in_the_readme_and_no_other() -> None:
    commands = {
        re.split(r"[ \]]", name.removeprefix("python manage.py "))[0] for name in table("command")
    }
    assert commands == set(main.commands)


def test_every_route_stands_in_the_readme_and_no_other(make_settings: object) -> None:
    freshet = Freshet(make_settings())  # type: ignore[operator]
    routes = {plain(route[0]) for route in freshet.routes()}
    routes = {route for route in routes if not route.startswith("/static/")}
    told = {route.split(" ")[1].partition("?")[0] for route in table("route") if " " in route}
    assert told == routes
    freshet.upstream.transport.close()
    freshet.upstream.short_transport.close()
    freshet.database.close()


def test_the_guide_shows_the_example_that_the_api_describes() -> None:
    guide = (ROOT / "docs" / "following.md").read_text(encoding="utf-8")
    assert f"```js\n{JAVASCRIPT.format(root='http://127.0.0.1:5000')}```\n" in guide
    assert "docs/following.md" in README
    kinds = set(re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE))
    assert kinds == set(get_args(Change.model_fields["kind"].annotation))
    for name in (*ReleaseSummary.model_fields, *ChangesPage.model_fields, *Reach(1, 1, 0).members):
        assert re.search(f'[`"]{name}[`"]', guide), name


def test_every_parameter_stands_in_the_readme_and_no_other() -> None:
    assert table("parameter") == set(ArtistsQuery.model_fields)


def test_the_readme_fits_its_bounds() -> None:
    assert README.count("\n") <= 150


def test_the_version_is_the_same_everywhere() -> None:
    from server import __version__

    assert f"version = {__version__}\n" in (ROOT / "setup.cfg").read_text(encoding="utf-8")


def test_an_installation_ends_with_what_comes_next(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for file in ("bin/python", ".installed"):  # it has been installed already
        (tmp_path / file).touch()
    command = ["make", "--no-print-directory", "install", f"VENV={tmp_path}"]
    env = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    assert "Next: `make run`" in line


def test_every_link_leads_to_a_file_and_to_a_heading_of_it() -> None:
    found = 0
    for file in [*documented.GUIDES, ROOT / "CHANGELOG.md"]:
        for link in documented.links(file):
            path, _, anchor = link.partition("#")
            target = (file.parent / path).resolve() if path else file
            assert target.is_relative_to(ROOT), f"{file.name}: {link}"
            assert target.exists(), f"{file.name}: {link}"
            assert not anchor or anchor in documented.anchors(target), f"{file.name}: {link}"
            found += 1
        for path in documented.paths(file):
            assert (ROOT / path).exists(), f"{file.name}: {path}"
    assert found >= 5


def test_the_manual_has_the_sections_that_people_look_for() -> None:
    headings = documented.text(ROOT / "docs" / "operating.md").splitlines()
    for name in (
        "On a Raspberry Pi or at home",
        "Behind a company's proxy",
        "From the embedded database to one's own",
        "What a login is good for",
        "Behind nginx",
        "Behind HAProxy, Varnish or Caddy",
    ):
        assert f"## {name}" in headings
