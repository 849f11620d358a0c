"""Arrows point down: which chapter may import which, and how large rooms and stories become."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
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
    "observability": ("catalog", "config"),
    "database.embedded": ("config",),
    "database": ("database.embedded", "config", "models"),
    "spotify": ("config", "observability"),
    "spotify.limits": ("spotify", "database", "models"),
    "spotify.auth": ("spotify", "spotify.limits", "database", "models", "config"),
    "spotify.api": ("spotify", "spotify.limits", "spotify.auth", "database", "models", "config"),
    "storage": ("spotify", "catalog", "models", "observability"),
    "serving.feeds": ("catalog",),
    "serving": ("serving.feeds", "catalog", "config", "database", "observability"),
    "serving.streams": ("serving", "catalog", "config", "database"),
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
    "presenters": ("sync", "storage", "serving", "serving.feeds", "openapi", "login", "catalog"),
    "handlers": ("presenters", "openapi", "login", "serving", "http", "database", "observability"),
    "handlers.api": (
        "handlers",
        "presenters",
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
    "server.spotify.auth.token_refresh",
    "server.sync.retention",
)
PURE = ("catalog", "openapi", "serving.feeds", "presenters")
IMPURE = {"asyncio", "socket", "tornado", "sqlalchemy", "psycopg2", "structlog", "os", "time"}
MOST_AT_ROOT, MOST_IN_FOLDER = 8, 14
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

# Where modules belong that have not been moved to their chapter yet.
MOVING = {
    "handlers/account": "handlers/pages/account",
    "handlers/artist": "handlers/pages/artist",
    "handlers/auth": "handlers/pages/auth",
    "handlers/changes": "handlers/api/changes",
    "handlers/condition": "handlers/pages/condition",
    "handlers/demo": "handlers/pages/demo",
    "handlers/docs": "handlers/pages/docs",
    "handlers/events": "handlers/api/events",
    "handlers/files": "handlers/pages/files",
    "handlers/home": "handlers/pages/home",
    "handlers/overview": "handlers/pages/status",
    "handlers/pages": "handlers/pages/base",
    "handlers/payloads": "handlers/api/releases",
    "handlers/problems": "handlers/pages/problems",
    "handlers/reference": "handlers/pages/reference",
    "handlers/setup": "handlers/pages/setup",
    "handlers/status": "handlers/api/status",
    "handlers/sync": "handlers/api/sync",
    "handlers/writing": "handlers/pages/reference",
    "server/access_log": "server/observability/access_log",
    "server/addresses": "server/config/addresses",
    "server/admission": "server/database/admission",
    "server/app": "server/app/application",
    "server/catalog/alarm": "server/catalog/snapshot",
    "server/catalog/answers": "server/openapi/responses",
    "server/catalog/artists": "server/storage/artists",
    "server/catalog/audience": "server/serving/streams/audience",
    "server/catalog/bounds": "server/openapi/constraints",
    "server/catalog/broadcast": "server/serving/streams/broadcast",
    "server/catalog/builder": "server/serving/builder",
    "server/catalog/cache": "server/serving/cache",
    "server/catalog/change_schemas": "server/openapi/change_schemas",
    "server/catalog/chart": "handlers/pages/presenters/bar_chart",
    "server/catalog/choosing": "server/sync/source_choice",
    "server/catalog/condition": "handlers/pages/presenters/condition",
    "server/catalog/days": "server/serving/past_days",
    "server/catalog/demand": "server/serving/hot_queries",
    "server/catalog/description": "server/openapi/spec",
    "server/catalog/details": "server/sync/artist_details",
    "server/catalog/diary": "server/storage/sync_runs",
    "server/catalog/duties": "server/sync/jobs",
    "server/catalog/entry": "server/catalog/change_event",
    "server/catalog/feeds": "server/serving/feeds",
    "server/catalog/feeds/atom": "server/serving/feeds/atom",
    "server/catalog/feeds/calendar": "server/serving/feeds/icalendar",
    "server/catalog/feeds/channel": "server/serving/feeds/feed",
    "server/catalog/feeds/json_feed": "server/serving/feeds/json_feed",
    "server/catalog/feeds/table": "server/serving/feeds/csv_table",
    "server/catalog/fields": "server/openapi/form_fields",
    "server/catalog/follower": "server/serving/streams/follower",
    "server/catalog/following": "server/openapi/change_operations",
    "server/catalog/freshness": "server/storage/freshness",
    "server/catalog/gauges": "server/app/metrics",
    "server/catalog/items": "server/serving/json_body",
    "server/catalog/journal": "server/storage/changes",
    "server/catalog/lag": "server/serving/lag",
    "server/catalog/listings": "server/storage/listings",
    "server/catalog/lru": "server/serving/lru",
    "server/catalog/manual": "server/openapi/reference",
    "server/catalog/navigation": "handlers/pages/presenters/grid_links",
    "server/catalog/negotiation": "server/serving/negotiation",
    "server/catalog/objects": "server/storage/lookups",
    "server/catalog/omissions": "server/observability/omissions",
    "server/catalog/operations": "server/openapi/operations",
    "server/catalog/outline": "server/openapi/schema_outline",
    "server/catalog/pace": "server/sync/pacing",
    "server/catalog/payload": "server/serving/payload",
    "server/catalog/position": "server/catalog/change_event",
    "server/catalog/reader": "server/storage/snapshots",
    "server/catalog/report": "server/sync/report",
    "server/catalog/retention": "server/sync/retention",
    "server/catalog/ring": "server/serving/streams/ring",
    "server/catalog/rows": "server/storage/bulk",
    "server/catalog/runs": "server/storage/sync_runs",
    "server/catalog/samples": "server/openapi/examples",
    "server/catalog/schedule": "server/sync/schedule",
    "server/catalog/shelf": "server/serving/response_store",
    "server/catalog/single_flight": "server/serving/single_flight",
    "server/catalog/standing": "server/sync/upstream_status",
    "server/catalog/status_schemas": "server/openapi/status_schemas",
    "server/catalog/store": "server/storage/sweeps",
    "server/catalog/sweep": "server/spotify/sweep",
    "server/catalog/sweeper": "server/spotify/api/sweeper",
    "server/catalog/sync": "server/sync/syncer",
    "server/catalog/tiles": "handlers/pages/presenters/cards",
    "server/catalog/turn": "server/sync/sync_lock",
    "server/catalog/under_way": "server/sync/sync_lock",
    "server/catalog/wall": "handlers/pages/presenters/release_grid",
    "server/catalog/wording": "handlers/pages/presenters/formatting",
    "server/children": "server/process/child",
    "server/cli_init": "server/commands/init",
    "server/cli_login": "server/commands/login",
    "server/config": "server/config/settings",
    "server/count_files": "server/observability/count_files",
    "server/database": "server/database/executor",
    "server/dedicated": "server/database/dedicated_connection",
    "server/demo": "server/commands/demo",
    "server/doctor/examination": "server/doctor/run",
    "server/downstream": "server/app/serving",
    "server/embedded": "server/database/embedded",
    "server/engine": "server/database/engine",
    "server/env_file": "server/config/env_file",
    "server/environment": "server/config/environment",
    "server/explanation": "server/openapi/explanation",
    "server/getting_started": "server/config/getting_started",
    "server/instruments": "server/observability/instruments",
    "server/keeper": "server/database/supervisor",
    "server/keyring": "server/encryption",
    "server/lane": "server/http",
    "server/lane/answer": "server/http/wire_response",
    "server/lane/backlog": "server/http/connections/unsent",
    "server/lane/bodies": "server/http/connections/incomplete_bodies",
    "server/lane/connection": "server/http/connections/connection",
    "server/lane/debtor": "server/http/connections/unsent_stream",
    "server/lane/door": "server/http/connections/acceptor",
    "server/lane/eviction": "server/http/eviction",
    "server/lane/head": "server/http/request_head",
    "server/lane/incomplete": "server/http/connections/incomplete_heads",
    "server/lane/lane": "server/http/fast_lane",
    "server/lane/limits": "server/http/connections/head_limits",
    "server/lane/linger": "server/http/connections/lingering_close",
    "server/lane/loan": "server/http/handoff",
    "server/lane/memo": "server/http/head_cache",
    "server/lane/portions": "server/http/connections/portions",
    "server/lane/reception": "server/http/request_intake",
    "server/lane/refusal": "server/http/refusals",
    "server/lane/sending": "server/http/response_sender",
    "server/lane/streams": "server/http/handoff_stream",
    "server/lane/turns": "server/http/connections/turns",
    "server/leadership": "server/database/leader_election",
    "server/libpq": "server/config/libpq",
    "server/lines": "server/observability/log_handler",
    "server/listening": "server/http/connections/sockets",
    "server/locks": "server/database/advisory_lock",
    "server/log": "server/observability/log",
    "server/log_writer": "server/observability/log_writer",
    "server/login/budget": "server/login/login_budget",
    "server/login/desk": "server/login/service",
    "server/login/diagnosis": "server/login/error_mapping",
    "server/login/failures": "server/login/errors",
    "server/login/known": "server/login/known_browser",
    "server/login/store": "server/login/session_store",
    "server/login/watch": "server/login/consent_monitor",
    "server/memory": "server/config/memory_budget",
    "server/metrics": "server/observability/metrics",
    "server/migrations": "server/database/migrations",
    "server/notices": "server/database/listener",
    "server/notify": "server/process/systemd",
    "server/pauses": "server/process/tuning",
    "server/postgres": "server/commands/postgres",
    "server/preflight": "server/database/preflight",
    "server/private_files": "server/config/private_files",
    "server/problems": "server/openapi/problem_kinds",
    "server/process": "server/process/worker",
    "server/proxies": "server/http/forwarded",
    "server/readiness": "server/database/readiness",
    "server/refusals": "server/request_errors",
    "server/requests": "server/observability/http_metrics",
    "server/routes": "server/app/routes",
    "server/runtime_folder": "server/config/runtime_folder",
    "server/schema": "server/database/schema",
    "server/scrubber": "server/observability/scrubber",
    "server/serve": "server/process/main",
    "server/site": "server/http/server",
    "server/spotify/artists": "server/spotify/api/artists",
    "server/spotify/client": "server/spotify/api/client",
    "server/spotify/cooldown": "server/spotify/limits/cooldown",
    "server/spotify/errand": "server/spotify/auth/access_token",
    "server/spotify/gate": "server/spotify/limits/rate_limiter",
    "server/spotify/items": "server/spotify/album_parser",
    "server/spotify/ledger": "server/spotify/limits/quota",
    "server/spotify/logins": "server/spotify/auth/token_store",
    "server/spotify/markets": "server/spotify/api/markets",
    "server/spotify/oauth": "server/spotify/auth/oauth",
    "server/spotify/paging": "server/spotify/api/paging",
    "server/spotify/quota": "server/spotify/limits/quota_store",
    "server/spotify/renewal": "server/spotify/auth/token_refresh",
    "server/spotify/sources": "server/spotify/api/sources",
    "server/spotify/standin": "server/standin",
    "server/spotify/standin/accounts": "server/standin/accounts/accounts",
    "server/spotify/standin/answers": "server/standin/faults/answers",
    "server/spotify/standin/browse": "server/standin/web_api/browse",
    "server/spotify/standin/catalogue": "server/standin/catalogue/catalogue",
    "server/spotify/standin/consent": "server/standin/accounts/consent",
    "server/spotify/standin/covers": "server/standin/artwork/covers",
    "server/spotify/standin/faults": "server/standin/faults/faults",
    "server/spotify/standin/ids": "server/standin/catalogue/ids",
    "server/spotify/standin/markets": "server/standin/catalogue/markets",
    "server/spotify/standin/me": "server/standin/web_api/me",
    "server/spotify/standin/misbehaviour": "server/standin/faults/misbehaviour",
    "server/spotify/standin/motifs": "server/standin/artwork/motifs",
    "server/spotify/standin/names": "server/standin/catalogue/names",
    "server/spotify/standin/objects": "server/standin/catalogue/objects",
    "server/spotify/standin/pages": "server/standin/accounts/pages",
    "server/spotify/standin/paging": "server/standin/web_api/paging",
    "server/spotify/standin/quotas": "server/standin/faults/quotas",
    "server/spotify/standin/releases": "server/standin/catalogue/releases",
    "server/spotify/standin/scenes": "server/standin/artwork/scenes",
    "server/spotify/standin/search": "server/standin/web_api/search",
    "server/spotify/standin/spoilage": "server/standin/faults/spoilage",
    "server/spotify/standin/svg": "server/standin/artwork/svg",
    "server/spotify/standin/tokens": "server/standin/accounts/tokens",
    "server/spotify/standin/webapi": "server/standin/web_api/webapi",
    "server/spotify/tokens": "server/spotify/auth/token_provider",
    "server/spotify/verdicts": "server/spotify/types",
    "server/startup": "server/process/startup",
    "server/supervisor": "server/process/supervisor",
    "server/telemetry": "server/app/metrics",
    "server/traffic": "server/observability/http_metrics",
    "server/trimming": "server/app/trimming",
    "server/unreadable": "server/app/unreadable",
    "server/upstream": "server/app/upstream",
    "server/values": "server/config/validators",
    "server/vitals": "server/observability/process_metrics",
}
FOLDERS = ("server.embedded", "server.lane", "server.spotify.standin")


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


def settled(name: str) -> list[str]:
    """The parts of a module's name."""
    parts = name.split(".")
    for count in (len(parts), *((3, 2) if name.startswith(FOLDERS) else ())):
        if new := MOVING.get("/".join(parts[:count])):
            return [*new.split("/"), *parts[count:]]
    return parts


def chapter(name: str) -> str:
    """The chapter of a module: its folder, in two steps where the table has two."""
    parts = settled(name)
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
    upward = {
        f"{'.'.join(settled(name))} -> {'.'.join(settled(target))}"
        for name, target in inner()
        if not allowed(name, target)
    }
    assert not upward - KNOWN, "\n".join(sorted(upward - KNOWN))
    assert not KNOWN - upward, f"no longer needed: {sorted(KNOWN - upward)}"


KNOWN = {
    # The stand-in for Spotify is for the demo, which shows its covers.
    "server.cli -> server.standin",
    "server.commands.demo -> server.standin",
    "server.app.routes -> server.standin.artwork.covers",
    # A sync by hand needs the session of the pages.
    "handlers.api.sync -> handlers.pages.auth",
    "handlers.api.sync -> handlers.pages.base",
}


def test_no_chapter_depends_on_itself_by_way_of_others() -> None:
    edges: dict[str, set[str]] = {}
    for name, target in inner():
        if chapter(name) != chapter(target) and allowed(name, target):
            edges.setdefault(chapter(name), set()).add(chapter(target))
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_sql_stays_in_its_rooms_and_pure_rooms_do_no_io() -> None:
    faults = []
    for name in MODULES:
        used = {each.split(".")[0] for each in imports(name)}
        where, new = chapter(name), ".".join(settled(name))
        has_sql = where.startswith(SQL) or new.endswith("_store") or new in SQL_TOO
        if not has_sql and used & {"sqlalchemy", "psycopg2"}:
            faults.append(f"{name} speaks SQL")
        if where in PURE and used & IMPURE:
            faults.append(f"{name} is to be pure, but imports {sorted(used & IMPURE)}")
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
