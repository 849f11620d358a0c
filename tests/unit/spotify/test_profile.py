"""Whose token it is: hostile and half answers of `/me` are read, or refused as bad answers."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from server.errors import BadAnswer
from server.spotify.profile import APP_PREFIX, MAX_ID_LENGTH, Profile, read_profile

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("app:x"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ANSWERS = st.dictionaries(
    st.sampled_from(["account_id", "id", "display_name", "country", "email", "product"]),
    ANYTHING | st.text(alphabet=st.characters(), max_size=300),
)
UNUSABLE: list[Any] = [
    None, "", 5, 5.5, True, [], ["a"], {}, {"id": "a"},
    "a\x00b", "\x00", "a\nb", "a\tb", "\x1b[31m", "a\x7f", "\x9b", "a\u2028b", "\u200b",
    "\u202egnp", "\ufeffa", "\ud800", "a" * (MAX_ID_LENGTH + 1), "a" * 10**6,
    "app:standin-client", "app:", "app:\n", "id:", "id:robin",
]  # fmt: skip


def test_a_whole_profile_is_read() -> None:
    answer = {
        "account_id": "4vEWAM0MO7jIK4FBr3dj7A",
        "id": "robin",
        "display_name": "Robin",
        "country": "GB",
        "email": "robin@standin.invalid",
        "product": "premium",
    }
    profile = read_profile(answer)
    assert profile == Profile("4vEWAM0MO7jIK4FBr3dj7A", "robin", "Robin")
    assert profile.key == "4vEWAM0MO7jIK4FBr3dj7A"
    assert profile.names == {"4vEWAM0MO7jIK4FBr3dj7A", "id:robin"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"id": "robin"}, Profile(None, "robin", None)),
        ({"account_id": "A"}, Profile("A", None, None)),
        ({"account_id": None, "id": "robin"}, Profile(None, "robin", None)),
        ({"account_id": "A", "id": "A"}, Profile("A", "A", None)),
        ({"account_id": "A", "display_name": None}, Profile("A", None, None)),
        ({"account_id": "A", "display_name": ""}, Profile("A", None, None)),
        ({"account_id": "A", "display_name": " \n\t"}, Profile("A", None, None)),
        ({"account_id": "A", "display_name": 7}, Profile("A", None, None)),
        ({"account_id": "A", "display_name": ["Robin"]}, Profile("A", None, None)),
        ({"account_id": "a" * MAX_ID_LENGTH}, Profile("a" * MAX_ID_LENGTH, None, None)),
        ({"id": "user@example.com ü"}, Profile(None, "user@example.com ü", None)),
    ],
)
def test_what_is_missing_is_none(answer: dict[str, Any], expected: Profile) -> None:
    assert read_profile(answer) == expected


@pytest.mark.parametrize("value", UNUSABLE, ids=lambda value: ascii(value)[:30])
def test_an_id_that_cannot_be_one_is_none(value: Any) -> None:
    assert read_profile({"account_id": value, "id": "robin"}) == Profile(None, "robin", None)
    assert read_profile({"account_id": "A", "id": value}) == Profile("A", None, None)
    for nobody in ({"account_id": value}, {"id": value}, {"account_id": value, "id": value}):
        with pytest.raises(BadAnswer):
            read_profile(nobody)


@pytest.mark.parametrize("answer", [{}, {"display_name": "Robin"}, {"error": {"status": 200}}])
def test_a_profile_of_nobody_is_a_bad_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer):
        read_profile(answer)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Robin\x00Hood", "Robin Hood"),
        ('Robin\r\n{"event": "forged"}', 'Robin {"event": "forged"}'),
        ("\x1b[2J\x1b[31mRobin", "[2J [31mRobin"),
        ("\u202eniboR", "niboR"),
        ("x" * 10**6, "x" * 200),
        ("\ud83d", None),
        ("\u200b\u2060", None),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("罗宾 🎧", "罗宾 🎧"),
        ("ل" * 300, "ل" * 200),
    ],
)
def test_a_name_is_short_on_one_line_and_can_be_stored(name: str, shown: str | None) -> None:
    assert read_profile({"id": "robin", "display_name": name}).display_name == shown


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(ANSWERS)
@example({"id": "app:standin-client", "account_id": "app:standin-client"})
@example({"id": "\x00", "account_id": "A", "display_name": "\x00"})
def test_whatever_comes_is_an_account_that_can_be_stored_or_a_bad_answer(
    answer: dict[str, Any],
) -> None:
    try:
        profile = read_profile(answer)
    except BadAnswer:
        return
    assert profile.key
    assert profile.key in profile.names
    sent = (answer.get("account_id"), f"id:{answer.get('id')}")
    for identity in profile.names:
        assert identity in sent
        assert identity.isprintable()
        assert len(identity.removeprefix("id:")) <= MAX_ID_LENGTH
        assert not identity.startswith(APP_PREFIX)
    if profile.display_name is not None:
        assert profile.display_name.isprintable()
        assert 0 < len(profile.display_name) <= 200
    str(profile).encode()
