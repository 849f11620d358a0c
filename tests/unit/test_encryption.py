"""Keys made from SECRET: the first seals, all open, and each ring is for one purpose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.encryption import Encryption
from server.errors import DecryptionFailed
from tests.support.settings import SECRET

OTHER = "another secret, as long as it has to be"


def test_the_first_key_of_the_list_seals_and_all_open() -> None:
    sealed = Encryption(f"{SECRET},{OTHER}", "tokens").seal("token")
    assert Encryption(f" {OTHER} , {SECRET} ", "tokens").open(sealed) == "token"
    assert Encryption(SECRET, "tokens").open(sealed) == "token"
    with pytest.raises(DecryptionFailed):
        Encryption(OTHER, "tokens").open(sealed)


def test_only_what_the_first_key_has_sealed_is_current() -> None:
    sealed = Encryption(SECRET, "tokens").seal("token")
    assert Encryption(f"{SECRET},{OTHER}", "tokens").is_current(sealed)
    assert not Encryption(f"{OTHER},{SECRET}", "tokens").is_current(sealed)
    assert not Encryption(SECRET, "tokens").is_current(b"")


def test_a_ring_for_another_purpose_opens_nothing() -> None:
    with pytest.raises(DecryptionFailed):
        Encryption(SECRET, "cookies").open(Encryption(SECRET, "tokens").seal("token"))


@given(st.text())
def test_every_text_comes_back_and_is_not_to_be_seen(text: str) -> None:
    ring = Encryption(SECRET, "tokens")
    sealed = ring.seal(text)
    assert ring.open(sealed) == text
    assert len(text) < 4 or text.encode() not in sealed


@given(st.binary())
def test_garbage_is_unreadable_and_no_crash(garbage: bytes) -> None:
    with pytest.raises(DecryptionFailed):
        Encryption(SECRET, "tokens").open(garbage)


def test_a_ring_does_not_show_its_keys() -> None:
    assert SECRET not in repr(Encryption(SECRET, "tokens"))
