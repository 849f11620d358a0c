"""What is the same release in another wrapping, what is another work, and which one stays."""

import time
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.catalog import titles, versions
from server.catalog.snapshot import AlbumEntry
from tests.support.releases import release as any_release

AT = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
TODAY = "2026-11-20"

SAME = {
    "twins of one name": ("Tides", "Tides"),
    "clean": ("The Boatlift", "The Boatlift - Clean"),
    "explicit and clean": ("Yeehaw (Clean)", "Yeehaw [Explicit]"),
    "explicit deluxe": ("Human II", "Human II (Explicit Deluxe Version)"),
    "deluxe": ("Armando", "Armando (Deluxe)"),
    "deluxe edition": ("Made In The A.M.", "Made In The A.M. (Deluxe Edition)"),
    "deluxe without a bracket": ("Motomami", "Motomami Deluxe"),
    "deluxe edition without a bracket": ("Motomami", "Motomami Deluxe Edition"),
    "deluxe behind a colon": ("Strange Timez", "Strange Timez: The Deluxe Edition"),
    "super deluxe": ("Revolver", "Revolver [Super Deluxe]"),
    "an unclosed bracket": ("Armando", "Armando (Deluxe Edition"),
    "brackets of another width": ("Armando", "Ａｒｍａｎｄｏ（Ｄｅｌｕｘｅ）"),
    "several brackets": ("Blur", "Blur (Deluxe) [2026 Remaster]"),
    "a bracket within a bracket": ("Blur", "Blur (Deluxe [2026 Remaster])"),
    "one edition and another": ("Blur [Special Edition]", "Blur (Limited Edition)"),
    "expanded": ("Low", "Low (Expanded)"),
    "expanded edition without a bracket": ("Low", "Low Expanded Edition"),
    "sped up": ("Bloody Moon", "Bloody Moon - Sped Up"),
    "sped up with a hyphen": ("Bloody Moon", "Bloody Moon (Sped-Up Version)"),
    "speed up": ("Bloody Moon", "Bloody Moon (Speed Up)"),
    "slowed": ("Bloody Moon", "Bloody Moon (Slowed)"),
    "slowed and reverb": ("Bloody Moon", "Bloody Moon (slowed + reverb)"),
    "slowed and reverb without a bracket": ("Bloody Moon", "Bloody Moon slowed & reverb"),
    "sped up and slowed": ("Bloody Moon - Sped Up", "Bloody Moon - Super Slowed"),
    "remastered": ("Heroes", "Heroes (Remastered)"),
    "remaster of a year": ("Heroes", "Heroes - 2026 Remaster"),
    "year behind": ("Heroes", "Heroes - Remastered 2026"),
    "remastered without a bracket": ("Heroes", "Heroes Remastered"),
    "anniversary": ("Parklife", "Parklife (30th Anniversary Edition)"),
    "anniversary deluxe": ("Parklife", "Parklife (30 Year Anniversary Deluxe Edition)"),
    "anniversary without a bracket": ("Parklife", "Parklife 30th Anniversary Edition"),
    "bonus tracks": ("Rainbow", "Rainbow (Bonus Track Version)"),
    "with bonus tracks": ("Rainbow", "Rainbow [with Bonus Tracks]"),
    "regional": ("Rainbow", "Rainbow (Japan Version)"),
    "another region": ("Rainbow (UK Edition)", "Rainbow (International Version)"),
    "regional bonus": ("Rainbow", "Rainbow (Japan Bonus Track Edition)"),
    "platinum edition": ("I AM...SASHA FIERCE", "I Am… Sasha Fierce - Platinum Edition"),
    "super edition": ("As I Am", "As I Am - The Super Edition"),
    "collector's edition": ("As I Am", "As I Am (Collector’s Edition)"),
    "radio edit": ("Strobelite", "Strobelite [Radio Edit]"),
    "marked as a single": ("Under the Westway", "Under the Westway - Single"),
    "between dashes": ("Yume", "Yume -Deluxe Edition-"),
    "edition before a guest": ("Lost (feat. Ana)", "Lost (Sped Up) [feat. Ana]"),
    "edition of a live album": ("HAARP (Live)", "HAARP (Live) [Deluxe Edition]"),
    "case": ("BRAT", "brat"),
    "accents": ("Océano de Sal", "Oceano de sal"),
    "spaces": ("Ocean  Of\u00a0Salt", " ocean of salt "),
    "punctuation": ("Don't Stop, Now!", "Don’t stop now"),
    "a guest, however set": ("Lost (feat. Ana)", "Lost [feat. Ana]"),
    "ampersand": ("Salt & Sugar", "Salt and Sugar"),
    "spanish": ("Océano", "Océano (Edición Deluxe)"),
    "portuguese": ("Canção", "Canção - Versão Deluxe"),
    "french": ("Été", "Été (Réédition)"),
    "japanese": ("夢の中", "夢の中（デラックス・エディション）"),
    "chinese": ("星空", "星空【豪華版】"),
    "cyrillic": ("Ночь", "НОЧЬ (Делюкс-версия)"),
    "unseen characters": ("Love ❤", "Lo\u00adve\u200b ❤\ufe0f"),
}
DIFFERENT = {
    "live": ("Halls", "Halls (Live)"),
    "live deluxe is both": ("Halls", "Halls (Live Deluxe)"),
    "live deluxe in one bracket stays whole": ("Halls (Live)", "Halls (Live Deluxe)"),
    "live at": ("HAARP", "HAARP - Live From Wembley"),
    "acoustic": ("Halls", "Halls (Acoustic)"),
    "acoustic version": ("Halls", "Halls (Acoustic Version)"),
    "acoustic edition": ("Halls", "Halls - Acoustic Edition"),
    "remix": ("OMG", "OMG (Remix)"),
    "remixes": ("OMG", "OMG (The Remixes)"),
    "two remixes": ("OMG (Ana Remix)", "OMG (Ben Remix)"),
    "mix": ("Humanz", "Humanz (Extended Mix)"),
    "instrumental": ("Feel", "Feel (Instrumental)"),
    "instrumental version": ("Feel", "Feel - Instrumental Version"),
    "karaoke": ("Feel", "Feel (Karaoke Version)"),
    "demo": ("Chasing", "Chasing_(Demo)"),
    "demos deluxe": ("Chasing (Deluxe)", "Chasing (Deluxe Demos)"),
    "unplugged": ("Feel", "Feel Unplugged"),
    "cover": ("Feel", "Feel (Cover)"),
    "volume": ("Hits", "Hits, Vol. 2"),
    "two volumes": ("Hits, Vol. 1", "Hits, Vol. 2"),
    "deluxe volumes": ("Hits (Deluxe) Vol. 1", "Hits (Deluxe) Vol. 2"),
    "volume in a bracket with deluxe": ("Hits", "Hits (Deluxe Vol. 2)"),
    "part": ("Hits", "Hits (Pt. 2)"),
    "number": ("Soy Así", "Soy Así 2"),
    "numbers in a bracket": ("Soy Así", "Soy Así (2)"),
    "years": ("Best of 1999 Remastered", "Best of 2000 Remastered"),
    "a year alone": ("Best of", "Best of (2026)"),
    "recorded anew": ("Origin", "Origin (New 09 version)"),
    "recorded anew in a year": ("Origin", "Origin (2026 Version)"),
    "hers": ("Fearless", "Fearless (Taylor's Version)"),
    "guest": ("Lost", "Lost (feat. Ana)"),
    "two guests": ("Lost (feat. Ana)", "Lost (feat. Ben)"),
    "guest and edition in one bracket": ("Lost", "Lost (feat. Ana Deluxe)"),
    "another language": ("Lost", "Lost (Spanish Version)"),
    "japanese is a language": ("Lost", "Lost (Japanese Version)"),
    "ep": ("Somebody's Party", "Somebody's Party - EP"),
    "soundtrack": ("Gotti", "Gotti (Original Motion Picture Soundtrack)"),
    "another season": ("Lost", "Lost (Christmas Edition)"),
    "commentary": ("A", "A (Track By Track Commentary)"),
    "clean without a bracket": ("Come", "Come Clean"),
    "gold without a bracket": ("Stay", "Stay Gold"),
    "edition words in front": ("Slate", "(Clean) Slate"),
    "an edition word is the title": ("Deluxe", "Explicit"),
    "edition words are the title": ("(Deluxe)", "(Explicit)"),
    "only punctuation": ("???", "!!!"),
    "only symbols": ("÷", "×"),
    "letters that look accented": ("パパ", "ハハ"),
    "vowel signs": ("की", "का"),
}


def text(title: str) -> str:
    return titles.strip(title).text


@pytest.mark.parametrize("name", SAME)
def test_a_version_folds(name: str) -> None:
    one, other = SAME[name]
    assert text(one) == text(other)


@pytest.mark.parametrize("name", DIFFERENT)
def test_another_work_does_not_fold(name: str) -> None:
    one, other = DIFFERENT[name]
    assert text(one) != text(other)


@pytest.mark.parametrize("title", ["Deluxe", "(Explicit)", "Deluxe Edition", "[Sped Up]", " ", "…"])
def test_a_title_is_never_folded_to_nothing(title: str) -> None:
    assert titles.strip(title).text
    assert titles.strip(title).removed == 0


PIECES = (
    *(
        "X",
        " ",
        " - ",
        " -",
        "-",
        "(",
        ")",
        "[",
        "]",
        "（",
        "】",
        ", ",
        "é",
        "&",
        "+",
        "\u0301",
        "2",
    ),
    *(
        "Deluxe",
        " Deluxe",
        "the ",
        "Edition",
        " Version",
        "(Live Deluxe)",
        "(Deluxe)",
        "Sped",
        " Up",
    ),
    *(" sped up", " slowed", " reverb", "25th", " Anniversary", " Bonus", " Track", " Remastered"),
    *("Explicit", "Clean", "feat. Y", "Vol. 2", "2026", " Limited", "ß", "ŉ", "℡", "\u200d", "ﷺ"),
)
TITLES = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=40)


@settings(max_examples=500)
@given(TITLES)
def test_to_strip_a_title_twice_is_to_strip_it_once(title: str) -> None:
    once = titles.strip(title)
    assert titles.strip(once.text) == titles.Title(once.text, 0)
    assert once.text or not title


@given(st.text())
def test_to_fold_a_text_twice_is_to_fold_it_once(title: str) -> None:
    once = titles.folded(title)
    assert titles.folded(once) == once


@pytest.mark.parametrize(
    "title",
    [
        "x" * 100_000,
        "(" * 10_000,
        "x" + "(Deluxe)" * 10_000,
        "ﷺ" * 100_000,
        "x" + " deluxe" * (titles.MAX_LENGTH // 7 - 1),
        "x" + " the" * (titles.MAX_LENGTH // 4 - 1),
        "(" * titles.MAX_LENGTH,
        "x" + "(a)" * (titles.MAX_LENGTH // 3 - 1),
        " -" * (titles.MAX_LENGTH // 2),
        "1" * (titles.MAX_LENGTH - 20) + "th anniversary",
        "ﷺ" * titles.MAX_LENGTH,
    ],
    ids=lambda title: f"{len(title)} of {title[:9]}",
)
def test_no_title_takes_long(title: str) -> None:
    def seconds() -> float:
        started = time.thread_time()
        titles.strip(title)
        return time.thread_time() - started

    assert min(seconds() for _ in range(3)) < 0.05


def release(
    title: str,
    number: int = 0,
    *,
    main: str | None = "a1",
    kind: str | None = "album",
    date: str | None = TODAY,
) -> AlbumEntry:
    edition = versions.recognise(main, kind, date, title) if main else None
    json = orjson.dumps({"n": number, "title": title})
    return AlbumEntry(any_release(), kind, AT, json, (), edition=edition)


def left(*albums: AlbumEntry) -> list[str]:
    return [orjson.loads(each.json)["title"] for each in versions.fold(albums)]


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ({"main": "a1"}, {"main": "a2"}, 2),
        ({"main": None}, {"main": None}, 2),
        ({"date": "2026-01-01"}, {"date": "2026"}, 1),
        ({"date": "2026-01-01"}, {"date": "2025-12-31"}, 2),
        ({"date": None}, {"date": "2026"}, 2),
        ({"date": None}, {"date": None}, 1),
        ({"date": None}, {"date": "0000"}, 1),
        ({"kind": "album"}, {"kind": "compilation"}, 1),
        ({"kind": "album"}, {"kind": "single"}, 2),
        ({"kind": "album"}, {"kind": "ep"}, 2),
        ({"kind": "single"}, {"kind": "ep"}, 2),
        ({"kind": None}, {"kind": "album"}, 2),
        ({"kind": None}, {"kind": None}, 1),
    ],
)
def test_artist_year_and_kind_must_be_the_same_too(
    one: dict[str, Any], other: dict[str, Any], count: int
) -> None:
    assert len(left(release("Tides", **one), release("Tides (Deluxe)", **other))) == count


def test_the_latest_stays() -> None:
    old = release("Tides", date="2026-01-01")
    assert left(release("Tides (Deluxe)"), release("Other"), old) == ["Tides (Deluxe)", "Other"]


def test_of_one_day_the_plainest_stays_in_its_own_place() -> None:
    day = [release("Tides (Deluxe Edition)"), release("Other"), release("Tides (Clean)")]
    assert left(*day) == ["Other", "Tides (Clean)"]
    assert left(*day, release("Tides"), release("Tides (Explicit)")) == ["Other", "Tides"]


def test_of_equally_plain_ones_the_first_stays() -> None:
    assert left(release("Tides (Clean)"), release("TIDES [Explicit]")) == ["Tides (Clean)"]


RELEASES = st.lists(
    st.builds(
        release,
        st.sampled_from(["Tides", "Tides (Deluxe)", "Tides - Sped Up", "Tides (Live)"]) | TITLES,
        st.integers(0, 9),
        main=st.sampled_from(["a1", "a2", None]),
        kind=st.sampled_from(["album", "compilation", "single", "ep", None]),
        date=st.sampled_from(["2026", "2026-11-20", "2026-11-19", None]),
    ),
    max_size=15,
)


@given(RELEASES)
def test_to_fold_twice_is_to_fold_once_and_every_work_stays(albums: list[AlbumEntry]) -> None:
    folded = versions.fold(albums)
    assert versions.fold(folded) == folded
    works = [each.edition.work for each in albums if each.edition]
    left_works = [each.edition.work for each in folded if each.edition]
    assert len(left_works) == len(set(left_works))
    assert set(left_works) == set(works)
    assert sum(each.edition is None for each in folded) == len(albums) - len(works)
