"""The coding a client wants, and whether it has the answer already."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalog.negotiation import coding, matches, prefers_page


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", "identity"),
        ("  ", "identity"),
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("deflate", "identity"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("gzip;q=0.5, br;q=0.5", "br"),
        ("gzip; q=0.8 , br ; q=0.9", "br"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0, gzip;q=0", "identity"),
        ("*", "br"),
        ("*;q=0.5", "br"),
        ("br;q=0, *", "gzip"),
        ("gzip;q=0.5, *;q=0", "gzip"),
        ("identity", "identity"),
        ("identity;q=1, gzip;q=0.5", "identity"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0", "identity"),
        ("*;q=0", "identity"),
        ("gzip;q=2", "identity"),
        ("gzip;q=", "identity"),
        ("gzip;q=abc", "identity"),
        ("gzip;level=9", "identity"),
        (",,;,", "identity"),
        ("gzip;q=0.001", "gzip"),
    ],
)
def test_the_best_coding_is_chosen(header: str, wanted: str) -> None:
    assert coding(header) == wanted


@given(st.text(max_size=100))
def test_any_header_gives_a_coding(header: str) -> None:
    assert coding(header) in ("br", "gzip", "identity")


@pytest.mark.parametrize(
    "header",
    ['"abc"', 'W/"abc"', '"x", "abc"', '"x",W/"abc" , "y"', "*", " * "],
)
def test_a_client_that_has_the_answer_is_recognised(header: str) -> None:
    assert matches(header, '"abc"')


@pytest.mark.parametrize("header", ["", "abc", '"ab"', '"abc', '"x", "y"', "**", '"ABC"'])
def test_a_client_that_has_another_answer_is_not(header: str) -> None:
    assert not matches(header, '"abc"')


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", True),
        ("text/html", True),
        ("TEXT/HTML; Charset=utf-8", True),
        ("text/*", True),
        ("text/html;q=0.9, application/json;q=0.8", True),
        ("text/html;level=1;q=0.5, */*;q=0.1", True),
        ("text/html, application/*;q=0.9", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/problem+json, text/html;q=0.9", False),
        ("text/html, application/json", False),
        ("text/html;q=0.5, */*", False),
        ("text/html;q=0, text/*", False),
        ("text/html;q=0", False),
        ("image/avif,image/webp,*/*;q=0.8", False),
        (",;,/;q", False),
    ],
)
def test_only_who_likes_a_page_better_than_data_gets_one(header: str, wanted: bool) -> None:
    assert prefers_page(header) is wanted


@given(st.text(max_size=100))
def test_any_accept_header_is_understood(header: str) -> None:
    assert prefers_page(header) in (True, False)
