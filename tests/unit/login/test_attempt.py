"""A login that has begun: its sealed cookie, its ten minutes, and where it may lead."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.encryption import Encryption
from server.login.attempt import (
    LIFE,
    LONGEST_NEXT,
    Attempt,
    fingerprint,
    local_path,
    seal,
    unseal,
)
from tests.support.login_browser import LONGEST_COOKIE, landing
from tests.support.redirects import LEADS_ELSEWHERE, STAYS
from tests.support.settings import SECRET

NOW = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
COOKIES = Encryption(SECRET, "cookies")
HERE = ("http://127.0.0.1:5000", "https://freshet.example.org", "https://example.org/freshet")


@pytest.mark.parametrize("target", LEADS_ELSEWHERE, ids=lambda target: ascii(target)[:40])
def test_what_could_lead_elsewhere_leads_to_the_start_page(target: str) -> None:
    assert local_path(target) == "/"


@pytest.mark.parametrize("target", STAYS, ids=lambda target: ascii(target)[:40])
def test_a_path_of_this_server_is_kept_to_the_letter(target: str) -> None:
    assert local_path(target) == target


@pytest.mark.parametrize(
    ("target", "written"),
    [
        ("/Océano de Sal", "/Oc%C3%A9ano%20de%20Sal"),
        ("/語?q=ü#é", "/%E8%AA%9E?q=%C3%BC#%C3%A9"),
        ('/"<script>', "/%22%3Cscript%3E"),
        ("/already%20so", "/already%20so"),
    ],
)
def test_a_path_is_written_in_ascii_as_addresses_are(target: str, written: str) -> None:
    assert local_path(target) == written
    assert local_path(written) == written


@pytest.mark.parametrize(
    "target",
    [
        "/./auth/login/",
        "/x/../auth/login/",
        "/%2e/auth/login/",
        "/x/%2E%2e/auth/login/",
        "/../another-application",
        "/..",
    ],
)
def test_dots_that_browsers_take_out_of_a_path_are_refused(target: str) -> None:
    """Behind them is a way back into the login, or out of a PUBLIC_URL with a path."""
    assert local_path(target) == "/"


ODD = st.sampled_from([*"/\\\t\r\n .:@?#%[]é", "//", "evil.example", "https:", "%2f", "auth/"])


@settings(max_examples=300)
@given(st.text() | st.lists(ODD, max_size=8).map("".join))
@example("/\ud800")
@example("/\\\t/evil.example")
def test_no_text_at_all_leads_to_another_origin(target: str) -> None:
    path = local_path(target)
    assert path.startswith("/")
    assert path.isascii()
    assert path.isprintable()
    for here in HERE:
        landed = urlsplit(landing(f"{here}/auth/callback/", here + path))
        assert (landed.scheme, landed.netloc) == urlsplit(here)[:2]
    landed = urlsplit(landing(f"{HERE[0]}/auth/callback/", path))  # were it sent as it is
    assert (landed.scheme, landed.netloc) == urlsplit(HERE[0])[:2]


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("//evil.example", "http://evil.example"),
        ("///evil.example/x", "http://evil.example/x"),
        ("/\\evil.example", "http://evil.example"),
        ("\\\\evil.example", "http://evil.example"),
        ("/\t/evil.example", "http://evil.example"),
        (" \n//evil.example", "http://evil.example"),
        ("https:evil.example", "https://evil.example"),
        ("https:\\evil.example", "https://evil.example"),
        ("http:evil.example", "http://127.0.0.1:5000/auth/evil.example"),
        ("/a\\b?c\\d", "http://127.0.0.1:5000/a/b?c\\d"),
        ("?x", "http://127.0.0.1:5000/auth/callback?x"),
        ("javascript:1", "javascript:1"),
    ],
)
def test_the_tests_own_browser_goes_where_browsers_go(location: str, expected: str) -> None:
    assert landing("http://127.0.0.1:5000/auth/callback", location) == expected


def test_the_challenge_is_the_one_of_rfc_7636() -> None:
    attempt = Attempt("/", NOW, verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert attempt.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_state_and_verifier_are_long_random_and_not_the_same() -> None:
    made = [Attempt("/", NOW) for _ in range(1000)]
    words = {word for each in made for word in (each.state, each.verifier)}
    assert len(words) == 2000
    assert all(re.fullmatch(r"[\w-]{43}", word) for word in words)  # RFC 7636 section 4.1


def test_an_attempt_shows_neither_state_nor_verifier() -> None:
    attempt = Attempt("/next", NOW)
    for shown in (repr(attempt), str(attempt), f"{attempt}"):
        assert attempt.state not in shown
        assert attempt.verifier not in shown
        assert "/next" in shown


@pytest.mark.parametrize(
    ("age", "timely"),
    [
        (timedelta(0), True),
        (LIFE - timedelta(microseconds=1), True),
        (LIFE, False),
        (timedelta(days=400), False),
        (-timedelta(minutes=1), True),
        (-timedelta(minutes=1, microseconds=1), False),
    ],
)
def test_an_attempt_lives_ten_minutes_and_its_clock_may_be_a_minute_ahead(
    age: timedelta, timely: bool
) -> None:
    assert Attempt("/", NOW).is_timely(NOW + age) is timely


def test_a_cookie_brings_back_what_was_sealed() -> None:
    attempt = Attempt("/Océano?a=b&c", NOW)
    assert unseal(seal(attempt, COOKIES), COOKIES) == attempt


def test_a_cookie_does_not_tell_what_is_in_it() -> None:
    attempt = Attempt("/next", NOW)
    cookie = seal(attempt, COOKIES)
    content = base64.urlsafe_b64decode(cookie)
    for hidden in (attempt.state, attempt.verifier, "/next"):
        assert hidden.encode() not in content
        assert hidden not in cookie
    assert seal(attempt, COOKIES) != cookie


def test_a_cookie_of_an_older_key_is_still_read() -> None:
    attempt = Attempt("/", NOW)
    rotated = Encryption(f"another secret, as long as it has to be, {SECRET}", "cookies")
    assert unseal(seal(attempt, COOKIES), rotated) == attempt


def test_a_cookie_with_any_byte_changed_opens_nothing() -> None:
    """But for the last character's unused bits, which base64 does not read."""
    attempt = Attempt("/", NOW)
    cookie = seal(attempt, COOKIES)
    last = len(cookie.rstrip("=")) - 1
    for index, character in enumerate(cookie):
        for other in ("A", "B", "-", chr(ord(character) ^ 1), chr(ord(character) ^ 128), "é", "="):
            if other != character:
                opened = unseal(cookie[:index] + other + cookie[index + 1 :], COOKIES)
                assert opened is None or (opened == attempt and index >= last), index


def test_a_cookie_cut_short_anywhere_opens_nothing() -> None:
    cookie = seal(Attempt("/", NOW), COOKIES).rstrip("=")
    assert [end for end in range(len(cookie)) if unseal(cookie[:end], COOKIES)] == []


@pytest.mark.parametrize(
    "cookie",
    ["", '""', "null", "gAAAAA", "é", "\ud800", "\x00", "🎵", "A" * 100_000, "[1,2,3,4]"],
    ids=lambda cookie: ascii(cookie)[:20],
)
def test_garbage_is_no_cookie_of_ours(cookie: str) -> None:
    assert unseal(cookie, COOKIES) is None


@given(st.text())
def test_no_text_made_up_is_a_cookie_of_ours(cookie: str) -> None:
    assert unseal(cookie, COOKIES) is None


@pytest.mark.parametrize(
    ("secret", "purpose"), [(SECRET, "tokens"), (SECRET, ""), (SECRET + "x", "cookies")]
)
def test_a_seal_of_another_purpose_or_secret_opens_nothing(secret: str, purpose: str) -> None:
    attempt = Attempt("/", NOW)
    assert unseal(seal(attempt, Encryption(secret, purpose)), COOKIES) is None


@pytest.mark.parametrize("letter", ["a", "é", "語", "🎵", '"'])
def test_the_cookie_of_the_longest_next_is_one_that_browsers_keep(letter: str) -> None:
    """They drop what is longer than 4096 with its name, and the login would fail at its end."""
    target = local_path("/" + letter * (LONGEST_NEXT - 1))
    cookie = seal(Attempt(target, NOW), COOKIES)
    assert len("__Host-freshet_login_0123456789abcdef") + len(cookie) <= LONGEST_COOKIE


@given(st.text() | st.just("\ud800"))
def test_a_fingerprint_is_the_sha_256_even_of_half_a_character(word: str) -> None:
    expected = hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
    assert fingerprint(word) == expected
