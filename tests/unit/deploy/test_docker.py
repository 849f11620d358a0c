"""What Docker is told, held against the tree; no engine is needed to see what is missing."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from server import __version__
from tests.support.dockerfile import Step, steps
from tests.support.paths import ROOT
from tests.support.proxies import CONFIG, PLACES

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
STEPS = steps(ROOT / "Dockerfile")
LAST = STEPS[max(i for i, step in enumerate(STEPS) if step.word == "FROM") :]


def the(word: str) -> Step:
    """The only step of the last stage that begins so."""
    (step,) = [step for step in LAST if step.word == word]
    return step


def copied() -> set[str]:
    """The sources of COPY lines that come from this tree."""
    lines = [step.text.split() for step in STEPS if step.word == "COPY"]
    words = {word for line in lines if not line[0].startswith("--from") for word in line[:-1]}
    return {word.removeprefix("./") for word in words}


def allowed() -> set[str]:
    """What .dockerignore lets through."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert "**/__pycache__" in lines
    return {line.removeprefix("!") for line in lines if line.startswith("!")}


def megabytes(place: str) -> int:
    """How large a file system in memory may become."""
    (size,) = re.findall(r"[:,]size=(\d+)m(?:,|$)", place)
    return int(size)


def test_everything_that_is_copied_exists_and_nothing_else_is_sent() -> None:
    assert copied() == allowed()
    assert all((ROOT / source).exists() for source in copied())


def test_every_package_and_file_the_program_needs_is_copied() -> None:
    assert {"manage.py", "setup.cfg", "server", "handlers", "models", "alembic"} <= copied()


def test_the_image_has_two_stages_and_runs_as_nobody_special() -> None:
    assert sum(step.word == "FROM" for step in STEPS) == 2
    user, command = LAST.index(the("USER")), LAST.index(the("CMD"))
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", the("USER").text), "a number, as clusters want"
    assert user < command
    assert all(step.word not in ("RUN", "COPY") for step in LAST[user:])
    uid, gid = the("USER").text.split(":")
    made = " ".join(step.text for step in LAST if step.word == "RUN")
    assert f"--uid {uid} --gid {gid}" in made
    assert f"groupadd --system --gid {gid}" in made
    assert f"chown {uid}:{gid} /app/var" in made


def test_what_a_strict_umask_gave_to_its_owner_alone_can_be_read_in_the_image() -> None:
    runs = [step for step in LAST if step.word == "RUN"]
    copies = [step for step in LAST if step.word == "COPY" and "--from" not in step.text]
    assert "chmod -R a+rX /app " in runs[-1].text
    assert all(LAST.index(step) < LAST.index(runs[-1]) for step in copies)


def test_what_runs_has_neither_pip_nor_anything_to_build_with() -> None:
    for step in LAST:
        if step.word == "RUN":
            assert not re.search(r"\b(pip|apt|apt-get|gcc|make|curl|wget)\b", step.text)
    built = " ".join(step.text for step in STEPS if step.word == "RUN")
    assert "--without-pip" in built
    assert "--only-binary :all:" in built


def test_it_is_looked_after_labelled_and_stopped_in_good_order() -> None:
    assert "/healthz" in the("HEALTHCHECK").text
    assert the("STOPSIGNAL").text == "SIGTERM"
    labels = dict(part.split("=", 1) for part in shlex.split(the("LABEL").text))
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.title"] == "Freshet"
    assert the("FROM").text.endswith(labels["org.opencontainers.image.base.name"].split("/")[-1])
    assert the("VOLUME").text == "/app/var"


def test_servers_wait_for_the_database_and_for_its_migrations() -> None:
    web, db, migrations = SERVICES["web"], SERVICES["db"], SERVICES["migrations"]
    assert web["depends_on"]["db"]["condition"] == "service_healthy"
    assert web["depends_on"]["migrations"]["condition"] == "service_completed_successfully"
    assert migrations["depends_on"]["db"]["condition"] == "service_healthy"
    assert migrations["command"] == ["python", "manage.py", "create_db"]
    assert migrations["restart"] == "no"
    assert migrations["environment"]["DATABASE_URL"] == web["environment"]["DATABASE_URL"]
    assert "pg_isready" in " ".join(db["healthcheck"]["test"])
    (volume,) = db["volumes"]
    assert volume.split(":")[0] in COMPOSE["volumes"]
    assert web["environment"]["DATABASE_URL"].startswith("postgresql://")
    assert web["deploy"]["replicas"] == 2
    assert SERVICES["nginx"]["depends_on"]["web"]["condition"] == "service_healthy"


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_may_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(place.split(":")[0] == "/tmp" for place in service["tmpfs"])
    assert all(megabytes(place) for place in service["tmpfs"]), "it is memory, so it has a bound"
    assert service["mem_limit"] in ("512m", "768m", "1g")
    assert service["pids_limit"] == 200
    assert ("cap_add" in service) == (name == "db")
    assert ("ports" in service) == (name == "nginx"), "only nginx is to be reached from outside"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert name in ("web", "migrations") or "healthcheck" in service
    assert "privileged" not in service


def test_one_image_is_built_once_for_all_that_run_it() -> None:
    users = {name for name, service in SERVICES.items() if service["image"] == "freshet"}
    assert users == {"web", "migrations"}
    assert [name for name, service in SERVICES.items() if "build" in service] == ["web"]
    assert {SERVICES[name]["pull_policy"] for name in users} == {"never"}, "it is no one else's"


@pytest.mark.parametrize("name", ["web", "migrations"])
def test_no_container_leaves_a_volume_behind_nor_writes_to_one(name: str) -> None:
    volume = the("VOLUME").text
    places = {place.split(":")[0] for place in SERVICES[name]["tmpfs"]}
    assert volume in places, "or Docker makes a nameless one for each container"
    assert "volumes" not in SERVICES[name]


def test_the_database_cannot_be_reached_but_by_servers() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert SERVICES["db"]["networks"] == ["inside"]
    assert SERVICES["migrations"]["networks"] == ["inside"]
    assert SERVICES["nginx"]["networks"] == ["outside"]
    assert set(SERVICES["web"]["networks"]) == {"inside", "outside"}


def test_nginx_keeps_no_more_than_there_is_memory_for_and_may_open_what_it_asks_for() -> None:
    service, text = SERVICES["nginx"], CONFIG.read_text(encoding="utf-8")
    (kept,) = re.findall(r"max_size=(\d+)m", text)
    (free,) = re.findall(r"min_free=(\d+)m", text)
    (place,) = (megabytes(each) for each in service["tmpfs"] if "/var/cache/nginx" in each)
    assert 4 * int(kept) <= place, "nginx clears every 10 s, and cuts off what does not fit"
    assert int(free) < place - int(kept)
    assert place + 256 <= int(service["mem_limit"].removesuffix("m")), "for connections and buffers"
    (files,) = re.findall(r"worker_rlimit_nofile (\d+);", text)
    assert service["ulimits"]["nofile"] >= int(files)
    (connections,) = re.findall(r"worker_connections (\d+);", text)
    assert int(files) >= 2 * int(connections), "each may have a file of the cache open"
    assert service["environment"] == {
        "TRUSTED_PROXIES": SERVICES["web"]["environment"]["TRUSTED_PROXIES"]
    }, "or all clients of a proxy in front of it would share one client's limits"


def test_nginx_understands_what_compose_makes_of_its_file(tmp_path: Path) -> None:
    shell, option, command = SERVICES["nginx"]["command"]
    assert (shell, option) == ("sh", "-c")
    made = command.split(" && ")[0].replace("$$", "$")
    made = made.replace("/etc/freshet/nginx.conf", shlex.quote(str(CONFIG)))
    made = made.replace("/var/cache/nginx/nginx.conf", shlex.quote(str(tmp_path / "nginx.conf")))
    given = {"PATH": os.environ["PATH"], "TRUSTED_PROXIES": "172.16.0.0/12 , 2001:db8::/32"}
    subprocess.run(["sh", "-c", made], check=True, timeout=20, env=given)
    text = (tmp_path / "nginx.conf").read_text(encoding="utf-8")
    for wanted in (
        *("listen 8080;", "server web:5000 resolve ", "resolver 127.0.0.11 valid=1s;"),
        "    set_real_ip_from 172.16.0.0/12; set_real_ip_from 2001:db8::/32;\n",
    ):
        assert wanted in text
    port = SERVICES["web"]["environment"]["PORT"]
    assert f"server web:{port} resolve " in text
    (published,) = SERVICES["nginx"]["ports"]
    assert published.endswith(":8080")
    program = shutil.which("nginx", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("there is no nginx")
    # What an nginx before 1.27.3 does not know, and names that only Docker's network has.
    text = text.replace("server web:5000 resolve ", "server 127.0.0.1:5000 ")
    places = "".join(f"{name}_temp_path {tmp_path}/{name};\n" for name in PLACES)
    text = text.replace("http { ", f"http {{ {places}").replace("/var/cache/nginx", str(tmp_path))
    (tmp_path / "nginx.conf").write_text(text, encoding="utf-8")
    command = f"{program} -t -e stderr -c {tmp_path}/nginx.conf -g"
    done = subprocess.run(
        [*shlex.split(command), f"pid {tmp_path}/pid;"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_health_check_is_one_of_the_exec_form() -> None:
    options, _, command = the("HEALTHCHECK").text.partition(" CMD ")
    assert "--start-period" in options
    assert orjson.loads(command)[0] == "python"
