"""Arrows point down: entry → wiring → handlers → services → models, as the imports show."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("server", "handlers", "models")

PURE = {
    "server.catalog.sweep",
    "server.spotify.cooldown",
    "server.spotify.ledger",
    "server.catalog.snapshot",
    "server.catalog.description",
    "server.catalog.following",
    "server.catalog.operations",
    "server.catalog.entry",
    "server.catalog.audience",
    "server.catalog.ring",
    "server.catalog.position",
    "server.catalog.outline",
    "server.catalog.bounds",
    "server.catalog.answers",
    "server.catalog.fields",
    "server.catalog.manual",
    "server.catalog.items",
    "server.catalog.query",
    "server.catalog.wording",
    "server.catalog.tiles",
    "server.catalog.wall",
    "server.catalog.condition",
    "server.catalog.chart",
    "server.catalog.release",
    "server.catalog.demand",
    "server.catalog.lru",
    "server.memory",
    "server.catalog.schemas",
    "server.catalog.change_schemas",
    "server.catalog.samples",
    "server.catalog.status_schemas",
    "server.catalog.payload",
    "server.catalog.parameters",
    "server.catalog.feeds",
    "server.catalog.feeds.channel",
    "server.catalog.feeds.atom",
    "server.catalog.feeds.json_feed",
    "server.catalog.feeds.calendar",
    "server.catalog.feeds.table",
    "server.catalog.selection",
    "server.catalog.titles",
    "server.catalog.versions",
    "server.catalog.navigation",
    "server.catalog.negotiation",
    "server.catalog.isolation",
    "server.catalog.lifetime",
    "server.spotify.parse",
    "server.spotify.items",
    "server.spotify.lenient_json",
    "server.spotify.consent",
    "server.spotify.profile",
    "server.spotify.verdicts",
    "server.spotify.standin.faults",
    "server.spotify.standin.answers",
    "server.spotify.standin.spoilage",
    "server.spotify.standin.quotas",
    "server.login.attempt",
    "server.login.diagnosis",
    "server.login.failures",
    "server.scrubber",
    "server.problems",
    "server.explanation",
    "server.lane.limits",
    "server.countries",
    "server.getting_started",
}
SQL = {
    "server.catalog.store",
    "server.catalog.rows",
    "server.catalog.listings",
    "server.catalog.runs",
    "server.catalog.diary",
    "server.catalog.reader",
    "server.catalog.freshness",
    "server.catalog.objects",
    "server.catalog.journal",
    "server.catalog.artists",
    "server.catalog.retention",
    "server.spotify.logins",
    "server.spotify.quota",
    "server.spotify.renewal",
    "server.login.store",
    "server.database",
    "server.engine",
    "server.preflight",
    "server.schema",
    "server.migrations",
    "server.notices",
    "server.locks",
    "server.embedded.cluster",
    "server.config",
    "server.addresses",
    "server.libpq",
    "server.values",
    "server.readiness",
    "server.doctor.database",
}
ALONE = {
    "server",
    "server.errors",
    "server.scrubber",
    "server.log_writer",
    "server.startup",
    "server.libpq",
    "server.countries",
    "server.memory",
    "server.embedded.launcher",
}
LOGGING = {
    "server.log": {"server.lines", "server.log_writer", "server.scrubber"},
    "server.lines": {"server.log_writer", "server.scrubber"},
}
WIRING = {
    "server.app",
    "server.routes",
    "server.upstream",
    "server.downstream",
    "server.telemetry",
    "server.doctor",
    "server.serve",
    "server.process",
    "server.supervisor",
    "server.demo",
    "server.cli",
    "server.cli_init",
    "server.cli_login",
    "server.postgres",
    "server.__main__",
}


def modules() -> dict[str, Path]:
    found = {}
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imports(name: str) -> set[str]:
    """The modules that a module imports; `from package import module` counts as the module."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name} has a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
    return found


def ours(name: str) -> set[str]:
    return {each for each in imports(name) if each.split(".")[0] in OURS}


def inside(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def allowed(name: str, target: str) -> bool:
    """Whether `name` may import `target`: the table of the house."""
    if name in WIRING or inside(name, "server.doctor"):
        return target != "server.__main__"
    if inside(name, "models"):
        return inside(target, "models")
    if inside(name, "server.spotify.standin"):
        return inside(target, "server.spotify.standin")
    if name in ALONE:
        return False
    if name in LOGGING:
        return target in LOGGING[name]
    if name == "server.addresses":
        return target == "server.libpq"
    if name == "server.config":
        return target in {
            "server.errors",
            "server.libpq",
            "server.addresses",
            "server.values",
            "server.environment",
            "server.memory",
        }
    if name == "server.preflight":  # it asks for rights on each table
        return target == "server.errors" or inside(target, "models")
    if name == "server.values":
        return target in ("server.addresses", "server.countries")
    if inside(name, "handlers"):
        return not inside(target, "models") and target not in WIRING
    if inside(name, "server.spotify"):
        forbidden = inside(target, "server.catalog", "handlers", "server.spotify.standin")
        return not forbidden and target not in WIRING
    if inside(name, "server.login"):
        forbidden = inside(target, "server.catalog", "handlers", "server.spotify.standin")
        return not forbidden and target not in WIRING
    if inside(name, "server.lane"):
        return inside(target, "server.lane", "server.catalog", "server.errors", "server.memory")
    if inside(name, "server.catalog"):
        return not inside(target, "handlers", "server.spotify.standin") and target not in WIRING
    return not inside(target, "handlers", "models", "server.catalog", "server.spotify") and (
        target not in WIRING
    )


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name: str) -> None:
    upward = {target for target in ours(name) if not allowed(name, target)}
    assert not upward, f"{name} must not import {upward}"


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_rooms_do_no_io(name: str) -> None:
    impure = {"asyncio", "socket", "tornado", "sqlalchemy", "psycopg2", "structlog", "os", "time"}
    touched = {each.split(".")[0] for each in imports(name)} & impure
    assert not touched, f"{name} must stay pure, but imports {touched}"


@pytest.mark.parametrize("name", MODULES)
def test_sql_stays_in_its_rooms(name: str) -> None:
    if inside(name, "models") or name in SQL:
        return
    assert not {each for each in imports(name) if each.split(".")[0] in ("sqlalchemy", "psycopg2")}


@pytest.mark.parametrize("name", MODULES)
def test_no_module_writes_a_global(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]


@pytest.mark.parametrize("name", MODULES)
def test_rooms_and_stories_stay_small(name: str) -> None:
    text = MODULES[name].read_text(encoding="utf-8")
    assert text.count("\n") <= 230, f"{name} is two rooms"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= 60, f"{name}.{node.name} is two stories"


def test_alembic_folder_is_no_package() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists(), "it would hide the library"
