"""`.env` is changed line by line, reads back as it was meant, and is written whole or not."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config import env_file, environment

NAMES = st.sampled_from(["CLIENT_ID", "CLIENT_SECRET", "PORT", "OTHER"])
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20)
COMMENTED = "# our settings\n\nCLIENT_ID=old # here\n\nPORT=80\n"


def read(folder: Path, text: str) -> dict[str, str]:
    file = folder / "env"
    file.write_text(text, encoding="utf-8")
    return environment.read_file(file)


@given(before=st.dictionaries(NAMES, VALUES), values=st.dictionaries(NAMES, VALUES))
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, str], values: dict[str, str]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    first = env_file.compose("", before)
    assert read(folder, first) == before
    assert read(folder, env_file.compose(first, values)) == {**before, **values}


def test_comments_order_and_other_settings_stay() -> None:
    assert env_file.compose(COMMENTED, {"CLIENT_ID": "new", "HOST": "::1"}) == (
        "# our settings\n\nCLIENT_ID=new\n\nPORT=80\nHOST=::1\n"
    )


@pytest.mark.parametrize(
    "text",
    ["export client_id='a\nb'\nPORT=80\n", "CLIENT_ID=1\nPORT=80\nCLIENT_ID=2", "PORT=80"],
)
def test_every_form_of_a_line_is_replaced_and_a_second_one_removed(
    tmp_path: Path, text: str
) -> None:
    changed = env_file.compose(text, {"CLIENT_ID": "new"})
    assert read(tmp_path, changed) == {"CLIENT_ID": "new", "PORT": "80"}
    assert changed.count("CLIENT_ID") == 1


def test_a_difference_shows_what_changes_and_no_secret() -> None:
    before = {"CLIENT_ID": "old", "CLIENT_SECRET": "hush", "PORT": "80"}
    values = {"CLIENT_ID": "new", "CLIENT_SECRET": "hush-too", "SECRET": "hush-3", "PORT": "80"}
    hidden = frozenset({"CLIENT_SECRET", "SECRET"})
    assert env_file.difference(before, values, hidden) == [
        "- CLIENT_ID=old",
        "+ CLIENT_ID=new",
        "- CLIENT_SECRET=********",
        "+ CLIENT_SECRET=********",
        "- SECRET=",
        "+ SECRET=********",
    ]


def test_a_file_is_replaced_in_one_step_for_its_owner_alone(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / ".env"
    real.write_text("old")
    real.chmod(0o644)
    link.symlink_to(real)
    with real.open() as reader:
        env_file.write(link, "new\r\n")
        assert reader.read() == "old", "it is another file"
    assert real.read_bytes() == b"new\r\n"
    assert link.is_symlink()
    assert stat.S_IMODE(os.stat(real).st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == [".env", "real"]


def test_a_file_that_cannot_be_written_stays_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        env_file.write(file, "new \ud800")
    assert file.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == [".env"]
