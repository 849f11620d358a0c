"""`manage.py init` in a pipe and by options: what it asks and writes, and nothing by halves."""

import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from server.cli import main
from server.config import environment

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


Init = Callable[..., Result]


@pytest.fixture
def init(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Init:
    """Run the command with these answers in its input; there is no Spotify."""
    monkeypatch.setenv("DATABASE_URL", f"embedded:{tmp_path / 'none'}")
    for name in ("SPOTIFY_API_URL", "SPOTIFY_ACCOUNTS_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    def run(*options: str, answers: str = "", **env: str) -> Result:
        return CliRunner().invoke(main, ["init", *options], input=answers, env=env)

    return run


def test_in_a_pipe_a_line_answers_a_question(dotenv: Path, init: Init) -> None:
    done = init(answers="our-id\nhush\n\n\n")
    assert done.exit_code == 1
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    assert set(environment.read_file(dotenv)) == {"CLIENT_ID", "CLIENT_SECRET", "SECRET"}


@pytest.mark.parametrize("answers", ["", "our-id\n", "our-id\nhush\n", "our-id\nhush\n\nhttp\n"])
def test_a_pipe_that_ends_too_early_writes_nothing(dotenv: Path, init: Init, answers: str) -> None:
    done = init(answers=answers)
    assert done.exit_code == 1
    assert "Aborted!" in done.stderr
    assert "Traceback" not in done.stderr
    assert not dotenv.exists()


def test_by_options_nothing_is_asked(dotenv: Path, init: Init, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("\ufeffhush\n", encoding="utf-8")
    options = ("--client-id", "our-id", "--client-secret-file", str(secret), "--port", "5123")
    done = init(*options, "--public-url", "https://music.example.org", "--yes")
    assert (done.stderr, "hush" in done.stdout) == ("", False)
    assert "  https://music.example.org/auth/callback/\n" in done.stdout
    values = environment.read_file(dotenv)
    assert (values["CLIENT_SECRET"], values["PORT"]) == ("hush", "5123")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "Freshet stopped: CLIENT_ID is missing"),
        (("--client-id", "our-id"), "Freshet stopped: CLIENT_SECRET is missing"),
        (("--client-id", "two\nlines"), "Freshet stopped: CLIENT_ID contains a line break"),
    ],
)
def test_what_options_leave_out_is_told_and_nothing_written(
    dotenv: Path, init: Init, options: Sequence[str], says: str
) -> None:
    done = init(*options, "--yes")
    assert done.exit_code == 1
    assert done.stderr.startswith(says)
    assert not dotenv.exists()


def test_one_that_is_there_is_changed_only_after_its_difference_was_shown(
    dotenv: Path, init: Init
) -> None:
    text = f"# mine\nCLIENT_ID=old\nCLIENT_SECRET=hush\nSECRET={'hush' * 8}\nQUOTA_PER_DAY=300\n"
    dotenv.write_text(text)
    dotenv.chmod(0o644)
    refused = init(answers="new\n\n\n5123\nn\n")
    assert (refused.exit_code, dotenv.read_text()) == (1, text)
    shown = re.findall(r"^  [-+] .*", refused.stdout, re.MULTILINE)
    assert shown == ["  - CLIENT_ID=old", "  + CLIENT_ID=new", "  - PORT=", "  + PORT=5123"]
    assert "hush" not in refused.stdout + refused.stderr
    ended = init(answers="new\n\n\n5123\n")
    assert (ended.exit_code, dotenv.read_text()) == (1, text)
    init(answers="new\n\n\n5123\ny\n")
    assert dotenv.read_text() == text.replace("old", "new") + "PORT=5123\n"
    assert stat.S_IMODE(dotenv.stat().st_mode) == 0o600
    again = init("--yes")
    assert ".env is already up to date." in again.stdout
    assert dotenv.read_text() == text.replace("old", "new") + "PORT=5123\n"


def test_a_broken_dotenv_is_left_alone(dotenv: Path, init: Init) -> None:
    dotenv.write_text('CLIENT_ID="our\n')
    done = init("--yes", CLIENT_ID="x", CLIENT_SECRET="y")
    assert done.exit_code == 1
    assert "line 1" in done.stderr
    assert dotenv.read_text() == 'CLIENT_ID="our\n'


def test_a_file_for_a_secret_gives_way_to_a_secret(dotenv: Path, init: Init) -> None:
    dotenv.write_text("CLIENT_ID=our-id\nCLIENT_SECRET_FILE=/run/secrets/x\n")
    init("--yes", CLIENT_SECRET="hush")
    assert environment.read_file(dotenv)["CLIENT_SECRET"] == "hush"
    assert "CLIENT_SECRET_FILE=\n" in dotenv.read_text()
