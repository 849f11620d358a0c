"""Each command of the documents is run by a test, or it says here why none does.

A new command of a document goes into RUN_BY with the test that runs it, or into HERE of
tests/system/processes/test_documented_commands.py with a test in that file, or, where neither is
possible, into NOT_RUN with the reason.
"""

import re

from tests.support import documented
from tests.support.documented_commands import HERE
from tests.support.paths import ROOT

END = "tests/system/processes"
BACKUP = (
    "tests/integration/database/test_backup.py"
    "::test_a_database_that_was_dropped_comes_back_from_a_dump_to_the_byte"
)
MOVE = (
    "tests/integration/database/test_backup.py::test_everything_moves_to_an_older_server_and_back"
)
DOCTOR = f"{END}/test_commands.py::test_doctor_exits_0_when_all_is_well_and_1_with_a_fault"
TARGETS = f"{END}/test_makefile.py::test_ci_runs_each_target_or_a_short_form_of_it"
INSTALL = (
    f"{END}/test_makefile.py::test_make_installs_whatever_the_environment_says_of_pip_and_python"
)
POSTGRES = "python manage.py postgres"

RUN_BY = {
    "make run": f"{END}/test_makefile.py::test_make_run_serves_the_demo_until_it_is_interrupted",
    "make test": TARGETS,
    "make test-fast": TARGETS,
    "make fuzz": TARGETS,
    "make clients": TARGETS,
    "python -m tests.support.description": "tests/unit/openapi/test_compatibility.py"
    "::test_the_description_of_a_release_is_printed_as_it_is_kept",
    "openapi-python-client generate --url http://127.0.0.1:5000/api/openapi.json": "tests/system/"
    "clients/test_python_client.py"
    "::test_a_client_made_from_the_description_reads_every_operation",
    "npx openapi-typescript http://127.0.0.1:5000/api/openapi.json -o freshet.ts": "tests/system/"
    "clients/test_typescript_client.py"
    "::test_a_typescript_client_made_from_the_description_passes_over_every_route",
    "make soak": TARGETS,
    "make soak-lane": TARGETS,
    "make picture": TARGETS,
    "make check": TARGETS,
    "make bench": TARGETS,
    "make bench-short": TARGETS,
    "make install": INSTALL,
    "make -C /opt/freshet install": INSTALL,
    "python manage.py run": f"{END}/test_commands.py::test_run_serves_syncs_and_stops_cleanly",
    "python manage.py --version": f"{END}/test_makefile.py"
    "::test_manage_py_finds_its_own_program_whatever_the_path",
    "python manage.py run --demo": f"{END}/test_commands.py"
    "::test_the_demo_needs_nothing_and_runs_once",
    "python manage.py run --demo --faults FILE": f"{END}/test_commands.py"
    "::test_the_demo_shows_what_happens_when_spotify_misbehaves",
    "python manage.py run --processes N": f"{END}/test_processes.py"
    "::test_two_processes_serve_the_demo_and_one_that_is_killed_comes_back",
    "curl -X POST -H 'Authorization: Bearer KEY' http://127.0.0.1:5000/api/sync/": "tests/"
    "integration/sync/test_sync_now.py::test_the_call_that_the_docs_show_works_with_a_key",
    "python manage.py create_db": f"{END}/test_commands.py"
    "::test_create_db_makes_the_schema_and_keeps_what_is_there",
    "python manage.py sync": f"{END}/test_commands.py"
    "::test_sync_brings_releases_in_and_tells_what_it_did",
    **dict.fromkeys(
        [
            "python manage.py watch import FILE",
            "python manage.py watch list",
            "python manage.py watch add ARTIST...",
            "python manage.py watch remove ARTIST...",
            "python manage.py watch ignore ARTIST...",
        ],
        "tests/integration/following/test_watch_command.py"
        "::test_artists_are_added_listed_ignored_and_removed",
    ),
    "python manage.py doctor": DOCTOR,
    "python manage.py config": f"{END}/test_commands.py"
    "::test_config_prints_settings_with_secrets_masked",
    "python manage.py init": f"{END}/test_init.py"
    ""
    "::test_on_a_terminal_it_asks_hides_the_secret_and_ends_with_the_doctor",
    **dict.fromkeys(
        [
            "python manage.py key create NAME --scope SCOPE",
            "python manage.py key list",
            "python manage.py key revoke ID",
        ],
        f"{END}/test_key_command.py::test_a_key_is_made_listed_and_revoked",
    ),
    "python manage.py login": f"{END}/test_login_command.py"
    "::test_a_login_is_stored_by_what_was_pasted",
    POSTGRES: "tests/integration/database/test_backup.py"
    "::test_help_says_how_it_is_used_whatever_the_settings_are",
    f"{POSTGRES} PROGRAM [ARGUMENT]...": "tests/integration/database/test_backup.py"
    "::test_help_says_how_it_is_used_whatever_the_settings_are",
    "python manage.py standin": "tests/integration/doctor/test_doctor.py"
    "::test_the_first_lines_of_the_stand_in_are_what_lets_it_be_asked",
    f"{POSTGRES} pg_dump -Fc -f freshet.dump": BACKUP,
    f"{POSTGRES} pg_restore -e --clean --if-exists --create --no-owner -d postgres freshet.dump": (
        BACKUP
    ),
    "export DATABASE_URL=postgresql://freshet:PASSWORD@db.example.org/freshet": MOVE,
    "export DATABASE_URL=embedded:": "tests/integration/database/test_backup.py"
    "::test_an_embedded_database_needs_no_running_server",
    f"{POSTGRES} createdb -E UTF8 -l C -T template0": MOVE,
    f"{POSTGRES} pg_restore --no-owner -f - freshet.dump"
    " | grep -v '^SET transaction_timeout' > freshet.sql": MOVE,
    f"{POSTGRES} psql -X -q -1 -v ON_ERROR_STOP=1 -o /dev/null -f freshet.sql": MOVE,
    "systemd-analyze security": "tests/unit/deploy/test_systemd_unit.py::test_it_is_hardly_exposed",
    "systemd-analyze verify FILE": "tests/unit/deploy/test_systemd_unit.py"
    "::test_systemd_finds_no_fault",
    "promtool check config deploy/prometheus/prometheus.yml": "tests/integration/"
    "observability/test_monitoring.py"
    "::test_prometheus_understands_rules_and_scrapes",
    **dict.fromkeys(
        [
            "haproxy -c -f FILE",
            "varnishd -C -f FILE",
            "caddy validate --adapter caddyfile --config FILE",
        ],
        "tests/system/proxies/test_fronts.py::test_the_program_understands_its_file_and_finds_nothing_to_warn_of",
    ),
    "nginx -t -c FILE": "tests/unit/deploy/test_docker.py"
    "::test_nginx_understands_what_compose_makes_of_its_file",
}

DOCKER = "takes a Docker engine; test_docker.py and test_image.py try what can be tried without"
ROOT_AND_SYSTEMD = "changes the machine as root; test_service.py starts the unit without"
NOT_RUN = {
    "git clone <address of this repository> freshet && cd freshet": "only the reader knows it",
    "useradd --system --home-dir /var/lib/freshet --shell /usr/sbin/nologin freshet": (
        ROOT_AND_SYSTEMD
    ),
    "systemctl daemon-reload && systemctl enable --now freshet": ROOT_AND_SYSTEMD,
    "systemd-run --pipe --wait -p User=freshet -p EnvironmentFile=/etc/freshet/freshet.env"
    " -p StateDirectory=freshet -p WorkingDirectory=/opt/freshet"
    " /opt/freshet/.venv/bin/python manage.py doctor": ROOT_AND_SYSTEMD,
    **dict.fromkeys(
        [
            "pip install requests cachecontrol",
            "pip install httpx 'hishel>=2' httpx-retries",
            "npm install ky",
            "npm install got",
        ],
        "takes a network; tests/system/clients runs the programs with what `make clients` installs",
    ),
    **dict.fromkeys(
        ["make lock", 'make lock UPGRADE="--upgrade-package tornado"'],
        "takes uv and a network; tests/unit/test_requirements.py reads what it wrote",
    ),
    "python -m pytest -n 0 tests/integration/api/test_status.py -k NAME": "runs tests, as this",
    "apt install postgresql": "changes the machine as root, from a network; CI does it",
    "ssh -L 5000:127.0.0.1:5000 pi@raspberrypi.local": "takes another host",
    **dict.fromkeys(
        [
            "python -m tests.bench.http …",
            "python -m tests.bench.scale …",
            "python -m tests.bench.scale",
        ],
        "takes minutes; CI runs its short form, `make bench-short`",
    ),
    **dict.fromkeys(
        [
            "docker compose up",
            "docker compose up -d",
            "docker compose up -d --build",
            "docker compose up --scale web=4",
            "docker compose up -d --wait --no-deps --no-recreate --scale web=4 web",
            "docker compose build",
            "docker compose run --rm migrations",
            "docker compose exec web python manage.py doctor",
            "docker compose stop web nginx",
            "docker compose restart nginx",
            "docker compose run --rm -T migrations python manage.py postgres pg_dump -Fc"
            " > freshet.dump",
            "pg_restore -e --clean --if-exists --create --no-owner -d postgres < freshet.dump",
            "docker compose run --rm -e ALEMBIC_CONFIG=setup.cfg migrations"
            " python -m alembic downgrade NUMBER",
            "old=$(docker compose ps -q web)",
            "docker stop $old && docker rm $old",
        ],
        DOCKER,
    ),
}


def entry(command: str) -> str:
    """Return how the tables name a command: those that end in … are its beginning."""
    starts = (each for each in NOT_RUN if each.endswith(" …"))
    return next((each for each in starts if command.startswith(each[:-1])), command)


def test_each_command_of_the_documents_is_run_or_says_why_not() -> None:
    known = {*RUN_BY, *HERE, *NOT_RUN}
    assert len(known) == len(RUN_BY) + len(HERE) + len(NOT_RUN), "a command is in two tables"
    told = {
        entry(command): file.relative_to(ROOT)
        for file in documented.GUIDES + documented.COMMENTED
        for command in documented.commands(file)
    }
    new = [f"{file}: {command}" for command, file in told.items() if command not in known]
    assert not new, (
        f"new in the documents: {new}. Run each in a test and name it in RUN_BY of {__file__}, or "
        "run it as HERE does, or say in NOT_RUN why that is not possible."
    )
    gone = known - set(told)
    assert not gone, f"no document has these any more, take them out of {__file__}: {gone}"


def test_the_tests_that_run_commands_exist() -> None:
    for name in set(RUN_BY.values()):
        file, _, function = name.partition("::")
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {function}\(", source, re.MULTILINE), name


def test_each_block_says_what_it_is() -> None:
    """`sh` are commands, `console` commands after `$ ` with their answers.

    `bash`, `go`, `js` and `python` are programs, which tests/system run.
    """
    languages = {"sh", "console", "ini", "json", "js", "text", "bash", "go", "python"}
    for file in documented.GUIDES:
        unknown = {language for language, _ in documented.blocks(file)} - languages
        assert not unknown, f"{file}: write one of {languages} after ```, not {unknown}"
        assert documented.text(file).count("```") == 2 * len(documented.blocks(file)), file
