"""The coding a client wants, and whether it has the answer already."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.serving.negotiation import coding, is_unmodified, matches, prefers_page
from server.serving.payload import Representation

DATE = "Fri, 20 Nov 2026 05:00:12 GMT"
NOW = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
READY = Representation(b"", '"abc"', (("Last-Modified", DATE),))


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


def unmodified(
    since: str | None,
    etags: str | None = None,
    *,
    ready: Representation = READY,
    now: float = NOW,
) -> bool:
    return is_unmodified(ready, etags, since, now)


@pytest.mark.parametrize(
    "since",
    [
        DATE,
        "Fri, 20 Nov 2026 05:00:13 GMT",
        "Friday, 20-Nov-26 05:00:12 GMT",
        "Fri Nov 20 05:00:12 2026",
        "Tue Dec  1 00:00:00 2026",
        f"  {DATE} ",
    ],
)
def test_a_client_whose_copy_is_not_older_is_recognised_by_its_date(since: str) -> None:
    assert unmodified(since)


@pytest.mark.parametrize(
    "since",
    [
        "Fri, 20 Nov 2026 05:00:11 GMT",
        "Friday, 20-Nov-26 05:00:11 GMT",
        "Fri Nov 20 05:00:11 2026",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "",
        "tomorrow",
        "2026-11-21T05:00:12Z",
        "Sat, 21 Nov 2026 05:00:12 +0000",
        "Sat, 21 Nov 2026 05:00:12",
        "21 Nov 2026 05:00:12 GMT",
        "Sat, 21 nov 2026 05:00:12 GMT",
        "Sat, 32 Nov 2026 05:00:12 GMT",
        "Sat, 21 Nov 2026 25:00:12 GMT",
        "Sat, 21 Nov 0027 05:00:12 GMT",
        "Tue, 01 Dec 2026 00:00:01 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        f"{DATE}, {DATE}",
        "9" * 100_000,
    ],
)
def test_an_older_copy_and_what_is_no_http_date_are_not(since: str) -> None:
    assert not unmodified(since)


def test_a_date_does_not_count_beside_an_etag_nor_without_one_to_compare() -> None:
    assert not unmodified(DATE, '"x"')
    assert not unmodified(DATE, "")
    assert unmodified("Mon, 01 Jan 2001 00:00:00 GMT", '"abc"')
    assert not unmodified(DATE, ready=Representation(b"", '"abc"', ()))
    assert not unmodified(None)


def test_a_date_that_is_still_to_come_counts_only_if_it_is_that_of_the_answer() -> None:
    earlier = NOW - 30 * 86400
    assert unmodified(DATE, now=earlier), "a host's clock may be behind that of another"
    assert not unmodified("Fri, 20 Nov 2026 05:00:13 GMT", now=earlier)


@given(st.datetimes(datetime(1000, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)))
def test_dates_are_compared_by_the_second(moment: datetime) -> None:
    since = format_datetime(moment, usegmt=True)
    modified = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
    is_later = moment.replace(microsecond=0) >= modified
    assert unmodified(since) is is_later


@given(st.text(max_size=60))
def test_any_date_is_understood(text: str) -> None:
    assert unmodified(text) in (True, False)
