"""`manage.py watch`: the server's own list of artists."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import URL, create_engine, text

from server.cli import main

A, B, C = "4Z8W4fKeB5YxbusRsdQVPb", "0LyfQWJT6nXafLPZqxe9Of", "AbcDefGhiJklMnoPqrStuv"

Watch = Callable[..., Result]


@pytest.fixture
def watch(database_url: URL) -> Watch:
    """Run a command of the group on this test's database."""
    env = {"DATABASE_URL": database_url.render_as_string(hide_password=False)}

    def run(*words: str, given: bytes | None = None) -> Result:
        return CliRunner().invoke(main, ["watch", *words], input=given, env=env)

    return run


def ended(result: Result) -> tuple[int, str]:
    assert result.stderr == "", result.stderr
    return result.exit_code, result.stdout


def test_artists_are_added_listed_ignored_and_removed(watch: Watch, tmp_path: Path) -> None:
    address = f"https://open.spotify.com/intl-de/artist/{B}?si=x"
    assert ended(watch("add", A, address, A)) == (0, "2 artists newly watched.\n")
    assert ended(watch("add", A)) == (0, "0 artists newly watched; 1 already.\n")
    assert ended(watch("ignore", f"spotify:artist:{C}", B)) == (0, "2 artists newly ignored.\n")
    assert ended(watch("list")) == (0, f"{A}\n")
    listed = watch("list", "--ignored").stdout.splitlines()
    assert sorted(listed) == sorted([B, C])
    file = tmp_path / "artists.csv"
    file.write_text(f"name;id\nOne;{B}\nTwo;{C}\n")
    assert ended(watch("import", str(file))) == (0, "2 artists in the file, 2 newly watched.\n")
    assert sorted(ended(watch("list"))[1].splitlines()) == sorted([A, f"{B}\tOne", f"{C}\tTwo"])
    assert ended(watch("remove", A, B)) == (0, "2 artists removed.\n")
    assert ended(watch("remove", A, C)) == (0, "1 artist removed; 1 not in the list.\n")
    assert ended(watch("list")) == (0, "")


def test_a_list_can_be_imported_again(watch: Watch) -> None:
    watch("import", "-", given=f"artist,id\nÞeyr,{A}\nSigur Rós,{B}\n".encode())
    listed = watch("list").stdout
    watch("remove", A, B)
    assert watch("import", "-", given=listed.encode()).exit_code == 0
    assert set(watch("list").stdout.split()) >= {A, B}


def test_names_cannot_command_the_terminal_or_add_lines(watch: Watch, database_url: URL) -> None:
    watch("add", A)
    name = f"One\n{B}\tTwo\x1b[2J\x9b2J\u202e"
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE chosen_artists SET name = :name"), {"name": name})
    engine.dispose()
    assert ended(watch("list")) == (0, f"{A}\tOne {B} Two [2J 2J\n")


def test_lines_that_are_not_understood_are_listed_and_the_others_imported(watch: Watch) -> None:
    given = f"{A}\nRadiohead\nspotify:album:{B}\n".encode() + b"?\n" * 30
    done = watch("import", "-", given=given)
    assert (done.exit_code, done.stdout) == (3, "1 artist in the file, 1 newly watched.\n")
    faults = done.stderr.splitlines()
    assert faults[:2] == [
        "line 2 has no id, URI or address of an artist: Radiohead",
        f"line 3 is an album, not an artist: spotify:album:{B}",
    ]
    assert (len(faults), faults[-1]) == (21, "… and 12 more lines")
    assert watch("list").stdout == f"{A}\n"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"Radiohead\n", "Freshet stopped: the file names no artist"),
        (b"", "Freshet stopped: the file names no artist"),
        (b"PK\x03\x04", "Freshet stopped: nothing was imported: The file is a spreadsheet"),
        (b"x" * 2_000_000, "Freshet stopped: nothing was imported: The file is larger than"),
    ],
)
def test_a_file_without_any_artist_is_an_error(watch: Watch, given: bytes, said: str) -> None:
    done = watch("import", "-", given=given)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_artist_is_refused_before_any_change(watch: Watch) -> None:
    done = watch("add", A, "Radiohead", f"spotify:track:{B}")
    assert done.exit_code == 2
    assert f"not an artist: Radiohead, spotify:track:{B}." in done.stderr
    assert watch("list").stdout == ""


def test_a_missing_file_is_a_wrong_use(watch: Watch, tmp_path: Path) -> None:
    done = watch("import", str(tmp_path / "none.txt"))
    assert done.exit_code == 2
    assert "none.txt" in done.stderr
