"""The documents name every command, setting, route and parameter, and nothing else."""

import ast
import re
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from click.testing import CliRunner

from server import __version__
from server.app.application import Application
from server.catalog.journal import JournalReach
from server.catalog.query import ArtistsQuery
from server.cli import main
from server.config.settings import Settings
from server.observability.http_metrics import readable_route
from server.openapi.change_operations import JAVASCRIPT
from server.openapi.change_schemas import Change, ChangesPage, ReleaseSummary
from tests.support import documented

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def rows(heading: str, document: str) -> list[list[str]]:
    """Return the cells of each row of the table whose first column has this heading."""
    body = document.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in body.splitlines()[2:]]


def table(heading: str, document: str = README) -> set[str]:
    """Return the names in backticks of the first column of the table with this heading."""
    first = (cells[0] for cells in rows(heading, document))
    return {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}


DOCUMENTS_OF_SETTINGS = pytest.mark.parametrize(
    "document", [README, SETTINGS], ids=["README.md", "docs/settings.md"]
)


@DOCUMENTS_OF_SETTINGS
def test_every_setting_is_documented_and_no_other(document: str) -> None:
    assert table("name", document) == {name.upper() for name in Settings.model_fields}


@DOCUMENTS_OF_SETTINGS
def test_the_documents_state_the_defaults_of_settings(document: str) -> None:
    defaults = {
        name.upper(): str(field.default)
        for name, field in Settings.model_fields.items()
        if isinstance(field.default, int | str) and not name.startswith(("spotify_", "log_"))
    }
    stated: dict[str, str] = {}
    for names, given, _ in rows("name", document):
        values = given.replace("`", "").split(", ")
        stated |= dict(zip(re.findall(r"`([^`]+)`", names), values, strict=False))
    assert {name: stated[name] for name in defaults} == defaults
    assert len(defaults) >= 13


def test_the_guide_to_settings_states_the_bounds_of_numbers() -> None:
    texts = {
        name: text
        for names, _, text in rows("name", SETTINGS)
        for name in re.findall(r"`([^`]+)`", names)
    }
    for name in ("PROCESSES", "SYNC_MAX_RELEASES", "RETENTION_DAYS"):
        least, most = (bound for bound in Settings.model_fields[name.lower()].metadata)
        assert f"{least.ge}–{most.le}" in texts[name], name


def test_every_command_is_in_the_readme_and_no_other() -> None:
    commands = {
        re.split(r"[ \]]", name.removeprefix("python manage.py "))[0] for name in table("command")
    }
    assert commands == set(main.commands)


def test_every_route_is_in_the_readme_and_no_other(make_settings: object) -> None:
    freshet = Application(make_settings())  # type: ignore[operator]
    routes = {readable_route(route[0]) for route in freshet.routes()}
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
    for name in (
        *ReleaseSummary.model_fields,
        *ChangesPage.model_fields,
        *JournalReach(1, 1, 0).members,
    ):
        assert re.search(f'[`"]{name}[`"]', guide), name


def test_the_guide_shows_the_client_whose_copy_is_tested() -> None:
    guide = (ROOT / "docs" / "following.md").read_text(encoding="utf-8")
    client = (ROOT / "tests" / "support" / "release_copy.py").read_text(encoding="utf-8")
    assert f"```python\n{client}```\n" in guide


def choices_of(annotation: object) -> Iterator[str]:
    """Yield what a Literal within an annotation allows, without the - of a descending order."""
    for argument in get_args(annotation):
        if get_origin(annotation) is Literal:
            yield argument.removeprefix("-")
        else:
            yield from choices_of(argument)


def test_every_parameter_is_in_the_guide_to_the_api_and_no_other() -> None:
    assert "docs/api.md" in README
    assert table("parameter", API) == set(ArtistsQuery.model_fields)
    for names, _, text in rows("parameter", API):
        for name in set(re.findall(r"`([^`]+)`", names)) - {"fields"}:
            values = set(choices_of(ArtistsQuery.model_fields[name].annotation))
            assert {value for value in values if f"`{value}`" not in text} == set(), name


def imports_allowed() -> dict[str, tuple[str, ...]]:
    """Return the table of imports, from the text of the test that checks it."""
    source = (ROOT / "tests" / "unit" / "test_layers.py").read_text(encoding="utf-8")
    (table,) = [
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "TABLE" and node.value
    ]
    allowed: dict[str, tuple[str, ...]] = ast.literal_eval(table)
    return allowed


def top(chapter: str) -> str:
    """Return the folder of a chapter in the table of imports."""
    return "handlers" if chapter == "presenters" else chapter.partition(".")[0]


def test_the_architecture_names_each_folder_with_what_it_imports() -> None:
    documented_imports = {
        folder.strip("`").removeprefix("server/"): set(re.findall(r"`(\w+)`", allowed)) or {allowed}
        for folder, _, allowed in rows("folder", ARCHITECTURE)
    }
    folders = {each.parent.name for each in (ROOT / "server").glob("*/__init__.py")}
    assert documented_imports.keys() == {*folders, "handlers", "models"}
    expected = {name: {"everything below"} for name in ("app", "process", "doctor", "commands")}
    table = imports_allowed()
    for chapter in {top(each) for each in table}:
        parts = [imported for name, imported in table.items() if top(name) == chapter]
        expected[chapter] = {top(each) for each in chain(*parts)} - {chapter} or {"nothing"}
    assert documented_imports == expected


def definitions(file: str) -> set[str]:
    """Return the classes, functions and methods of a module, methods as Class.method."""
    found = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (ast.FunctionDef, ast.AsyncFunctionDef)
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, methods)}
    return found


def test_each_step_of_the_walks_exists() -> None:
    walks = ARCHITECTURE.partition("\n## Four walks\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.+)", walks, re.MULTILINE) == [
        "A release, from Spotify to a client",
        "A check of an artist",
        "A login",
        "A warm request",
    ]
    steps = re.findall(r"`([\w/]+\.py):([\w.]+)`", walks)
    assert len(steps) > 40
    missing = [f"{file}:{name}" for file, name in steps if name not in definitions(file)]
    assert not missing, f"docs/architecture.md names {missing}"


def test_the_readme_fits_its_bounds() -> None:
    assert README.count("\n") <= 150


def test_the_version_is_the_same_everywhere() -> None:
    assert "\nversion = attr: server.__version__\n" in (ROOT / "setup.cfg").read_text("utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## (\d\S*)", changes, re.MULTILINE)[0]
    assert newest == __version__
    done = CliRunner().invoke(main, ["--version"])
    assert done.output == f"freshet, version {__version__}\n"


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
        "Moving from the embedded database to your own",
        "What a login is good for",
        "Behind nginx",
        "Behind HAProxy, Varnish or Caddy",
    ):
        assert f"## {name}" in headings
