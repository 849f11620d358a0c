"""What Docker is told, held against the tree: no engine is needed to see a missing file."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def copied() -> set[str]:
    """The sources of COPY lines that come from this tree."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return {word.removeprefix("./") for line in lines for word in line.split()[:-1]}


def test_everything_that_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    assert copied() <= {line.removeprefix("!") for line in ignored[1:]}
    assert all((ROOT / source).exists() for source in copied())


def test_every_package_and_file_the_program_needs_is_copied() -> None:
    assert {"manage.py", "setup.cfg", "server", "handlers", "models", "alembic"} <= copied()


def test_the_image_has_two_stages_and_runs_as_nobody_special() -> None:
    assert DOCKERFILE.count("\nFROM ") + DOCKERFILE.startswith("FROM ") == 2
    user, command = DOCKERFILE.index("\nUSER freshet"), DOCKERFILE.index("\nCMD ")
    assert user < command
    assert "HEALTHCHECK" in DOCKERFILE
    assert "/healthz" in DOCKERFILE


def test_web_waits_for_a_healthy_database_whose_data_survives() -> None:
    web, db = COMPOSE["services"]["web"], COMPOSE["services"]["db"]
    assert web["depends_on"]["db"]["condition"] == "service_healthy"
    assert "pg_isready" in " ".join(db["healthcheck"]["test"])
    (volume,) = db["volumes"]
    assert volume.split(":")[0] in COMPOSE["volumes"]
    assert web["environment"]["DATABASE_URL"].startswith("postgresql://")
