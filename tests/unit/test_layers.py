"""Arrows point down: which chapter may import which, and how large rooms and stories become."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("server", "handlers", "models")

# What all chapters may import: the modules at the root of server/ but for the commands.
BASE = ("errors", "request_errors", "encryption", "tasks", "threads", "countries")
ENTRY = ("cli", "__main__", "commands")
# From the bottom up: what a chapter may import besides itself and the base.
TABLE: dict[str, tuple[str, ...]] = {
    "models": (),
    "standin": (),
    "config": (),
    "catalog": (),
    "observability": ("config",),
    "database.embedded": ("config",),
    "database": ("database.embedded", "config", "models"),
    "spotify": ("config", "observability"),
    "spotify.limits": ("spotify", "database", "models"),
    "spotify.auth": ("spotify", "spotify.limits", "database", "models", "config"),
    "spotify.api": ("spotify", "spotify.limits", "spotify.auth", "database", "models", "config"),
    "storage": ("spotify", "spotify.auth", "catalog", "models", "observability"),
    "following": (
        "storage",
        "spotify",
        "spotify.limits",
        "spotify.auth",
        "spotify.api",
        "serving",
        "database",
        "catalog",
        "models",
    ),
    "serving.feeds": ("catalog",),
    "serving": ("serving.feeds", "catalog", "config", "database", "observability"),
    "serving.streams": ("catalog", "config"),
    "login": (
        "spotify",
        "spotify.limits",
        "spotify.auth",
        "spotify.api",
        "database",
        "models",
        "config",
    ),
    "openapi": ("serving", "serving.feeds", "catalog", "config", "login"),
    "http.connections": ("config",),
    "http": ("http.connections", "serving", "catalog", "observability", "config"),
    "sync": (
        "storage",
        "spotify",
        "spotify.limits",
        "spotify.auth",
        "spotify.api",
        "database",
        "catalog",
        "models",
    ),
    "presenters": (
        "following",
        "sync",
        "storage",
        "serving",
        "serving.feeds",
        "openapi",
        "login",
        "catalog",
    ),
    "handlers": (
        "presenters",
        "openapi",
        "login",
        "serving",
        "http",
        "database",
        "config",
        "observability",
    ),
    "handlers.api": (
        "handlers",
        "presenters",
        "following",
        "sync",
        "storage",
        "login",
        "serving",
        "serving.streams",
        "serving.feeds",
        "catalog",
        "database",
        "observability",
        "spotify",
        "spotify.api",
        "openapi",
        "config",
    ),
    "handlers.pages": (
        "handlers.api",
        "handlers",
        "presenters",
        "openapi",
        "following",
        "sync",
        "storage",
        "login",
        "serving",
        "serving.feeds",
        "serving.streams",
        "catalog",
        "config",
        "database",
        "spotify",
        "spotify.limits",
        "spotify.auth",
        "spotify.api",
        "observability",
    ),
}
TOP = ("app", "process", "doctor", "entry")  # they import whatever lies below
SQL = ("models", "database", "storage")
SQL_TOO = (
    "server.config.settings",
    "server.config.addresses",
    "server.config.validators",
    "server.config.libpq",
    "server.doctor.database",
)
PURE = ("catalog", "openapi", "serving.feeds", "presenters")
IMPURE = {"asyncio", "socket", "tornado", "sqlalchemy", "psycopg2", "structlog", "os", "time"}
MOST_AT_ROOT, MOST_IN_FOLDER = 9, 14  # at the root one is the old name of a command
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 300, 60


def modules() -> dict[str, Path]:
    found = {}
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports(name: str) -> set[str]:
    """The modules that a module imports; `from package import module` counts as the module."""
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name} has a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
    return found


def reached(name: str) -> set[str]:
    """The modules of ours that importing a module loads: what it imports, what these import…"""
    found: set[str] = set()
    waiting = {name}
    while waiting:
        name = waiting.pop()
        found.add(name)
        steps = name.split(".")
        packages = {".".join(steps[:count]) for count in range(1, len(steps))}
        waiting |= ((imports(name) | packages) & MODULES.keys()) - found
    return found


def chapter(name: str) -> str:
    """The chapter of a module: its folder, in two steps where the table has two."""
    parts = name.split(".")
    if parts[0] == "models" or len(parts) == 1:
        return "models" if parts[0] == "models" else "base"
    if parts[0] == "handlers":
        if "presenters" in parts:
            return "presenters"
        return ".".join(parts[:2]) if parts[1] in ("api", "pages") else "handlers"
    if parts[1] in ENTRY:
        return "entry"
    if parts[1] in BASE:
        return "base"
    if ".".join(parts[1:3]) in TABLE:
        return ".".join(parts[1:3])
    return parts[1]


def inner() -> list[tuple[str, str]]:
    """All imports of our own modules by each other."""
    return [
        (name, target)
        for name in MODULES
        for target in sorted(imports(name))
        if target in MODULES and target != name
    ]


def allowed(name: str, target: str) -> bool:
    """Whether `name` may import `target`: the table."""
    ours, theirs = chapter(name), chapter(target)
    if ours == theirs or (theirs == "base" and ours not in ("models", "standin")):
        return True
    if ours in TOP:
        return theirs != "standin" and TOP.index(ours) >= (
            TOP.index(theirs) if theirs in TOP else 0
        )
    return theirs in TABLE.get(ours, ())


def test_imports_point_down() -> None:
    upward = {f"{name} -> {target}" for name, target in inner() if not allowed(name, target)}
    assert not upward - KNOWN, "\n".join(sorted(upward - KNOWN))
    assert not KNOWN - upward, f"no longer needed: {sorted(KNOWN - upward)}"


KNOWN = {
    # The stand-in for Spotify is for its command and for the demo, which shows its covers.
    "server.cli -> server.standin",
    "server.commands.demo -> server.standin",
    "server.cli -> server.standin.__main__",
    "server.app.routes -> server.standin.artwork.covers",
    # Old forms of two commands, which keep working for this version.
    "server.postgres -> server.cli",
    "server.spotify.standin.__main__ -> server.standin.__main__",
}


def test_no_chapter_and_no_module_depends_on_itself_by_way_of_others() -> None:
    chapters: dict[str, set[str]] = {}
    rooms: dict[str, set[str]] = {}
    for name, target in inner():
        if MODULES[target].name != "__init__.py":  # which only hands names on
            rooms.setdefault(name, set()).add(target)
        if chapter(name) != chapter(target) and allowed(name, target):
            chapters.setdefault(chapter(name), set()).add(chapter(target))
    for edges in (chapters, rooms):
        try:
            TopologicalSorter(edges).prepare()
        except CycleError as error:
            raise AssertionError(" -> ".join(error.args[1])) from None


def test_sql_stays_in_its_rooms_and_pure_rooms_do_no_io() -> None:
    faults = []
    for name in MODULES:
        used = {each.split(".")[0] for each in imports(name)}
        where = chapter(name)
        has_sql = where.startswith(SQL) or name.endswith("_store") or name in SQL_TOO
        if not has_sql and used & {"sqlalchemy", "psycopg2"}:
            faults.append(f"{name} speaks SQL")
        if where in PURE and used & IMPURE:
            faults.append(f"{name} is to be pure, but imports {sorted(used & IMPURE)}")
        if where == "storage":  # writing the catalogue loads no HTTP client
            faults += [
                f"{name} reaches tornado by way of {other}"
                for other in sorted(reached(name))
                if any(each.split(".")[0] == "tornado" for each in imports(other))
            ]
    assert not faults, "\n".join(faults)


def test_no_module_writes_a_global_and_alembic_is_no_package() -> None:
    faults = [
        name
        for name, tree in TREES.items()
        if any(isinstance(node, ast.Global) for node in ast.walk(tree))
    ]
    assert not faults
    assert not (ROOT / "alembic" / "__init__.py").exists(), "it would hide the library"


def test_folders_rooms_and_stories_stay_small() -> None:
    faults = []
    for folder in {path.parent for path in MODULES.values()}:
        most = MOST_AT_ROOT if folder == ROOT / "server" else MOST_IN_FOLDER
        count = len([path for path in folder.glob("*.py") if path.name != "__init__.py"])
        if count > most:
            faults.append(f"{folder.relative_to(ROOT)} has {count} modules")
    for name, path in MODULES.items():
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > MOST_LINES:
            faults.append(f"{name} has {lines} lines")
        for node in ast.walk(TREES[name]):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    faults.append(f"{name}.{node.name} has {lines} lines")
    assert not faults, "\n".join(faults)


def test_test_modules_share_only_through_support() -> None:
    """No test module imports from another, nor from a conftest.py: what they share has a name."""
    faults = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
                last = (node.module or "").split(".")[-1]
                if last.startswith("test_") or last == "conftest":
                    faults.append(f"{path.relative_to(ROOT)} imports {node.module}")
    assert not faults, "\n".join(faults)
