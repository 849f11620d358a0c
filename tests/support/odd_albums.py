"""Albums and artists with every odd value that an answer of Spotify's may hold, for Hypothesis."""

from typing import Any

from hypothesis import strategies as st

from tests.support.examples import spotify_id

ALBUMS = [spotify_id("album", number) for number in range(5)]
ARTISTS = [*(spotify_id("artist", number) for number in range(4)), "0LyfQWJT6nXafLPZqxe9Of"]
LARGE = {  # what a name stands for, so that a list is short when it is shown
    "<100 kB>": 100_000 * "x",
    "<100 kB of two planes>": 25_000 * "é\U0001d11e",
    "<an address of 5 kB>": "https://x.example/" + 5_000 * "y",
    "<500 images>": [
        {"url": f"https://i.scdn.co/image/{number}", "height": number, "width": number}
        for number in range(500)
    ],
    "<300 credits>": [
        {"id": spotify_id("many", number), "name": f"Artist of many {number}"}
        for number in range(300)
    ],
    "<5 000 markets>": [chr(65 + n // 26 % 26) + chr(65 + n % 26) for n in range(5_000)],
}
PLANES = "".join(chr(plane * 0x10000 + 0x1F3) for plane in range(17))
NASTY = [
    "",
    " ",
    "\0",
    "half a pair \ud83d",
    "\udc00\ud83d backwards",
    "\ud83d\ude00",
    "\ufffe\uffff\U0010ffff\U0001ffff",
    "bidi \u202e\u2066 \u200f isolates",
    "lines\r\n\x0b\x0c\x85\u2028\u2029 and \x1b[31m controls \x9f",
    "</title><script>alert(1)</script>",
    "]]>&amp;<!--",
    '=HYPERLINK("http://evil.example")',
    'a"b,c;d\\n\tE\\',
    "e" + 300 * "\u0301",
    "BEGIN:VEVENT\r\nUID:x\r\n",
    "ﷺ" * 30,
    PLANES,
    "<100 kB>",
    "<100 kB of two planes>",
]
DATES = [
    "0000",
    "0000-00",
    "0000-00-00",
    "0001",
    "0001-01-01",
    "0999-12",
    "1582",
    "1582-10-10",
    "1899-12-31",
    "1900-02-29",
    "2000-02-29",
    "2026",
    "2026-11",
    "2026-11-20",
    "2026-13-01",
    "2026-02-30",
    "9999",
    "9999-12",
    "9999-12-31",
    "10000-01-01",
    "-0001",
    "２０２６",
    "2026-11-20T00:00:00Z",
    " 2026",
    "",
]
NUMBERS = [
    *(
        sign * 2**power + off
        for power in (31, 32, 53, 63, 64)
        for off in (-1, 0, 1)
        for sign in (1, -1)
    ),
    *(0, 1, -1, 10**400, 1.5, 1e308, float("inf"), float("nan"), True, "12", "٣"),
]
ADDRESSES = [
    "https://i.scdn.co/image/ab",
    "https://open.spotify.com/album/x",
    "http://x.example/a b",
    "https://x.example/\r\nATTACH:y",
    'https://x.example/"><script>',
    "https://x.example/, 1w",
    "https://[",
    "https://straße.example/ü?=&amp;#",
    "javascript:alert(1)",
    "data:,x",
    "//x.example",
    "HTTPS://X.EXAMPLE",
    "<an address of 5 kB>",
    "https://x.example/\ud83d",
    "",
]

texts = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=()), max_size=20)
numbers = st.sampled_from(NUMBERS) | st.integers(-5, 300)
odd: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1.5, [], {}, [[]], {"x": None}, "", [None], float("nan")]
)
addresses = st.sampled_from(ADDRESSES) | odd | texts
urls = st.dictionaries(st.just("spotify") | texts, addresses, max_size=2) | odd
images = st.fixed_dictionaries(
    {"url": addresses}, optional={"height": numbers | odd, "width": numbers | odd}
)
pictures = st.lists(images | odd, max_size=3) | st.just("<500 images>") | odd
markets = (
    st.lists(st.sampled_from(["DE", "US", "de", "", "DEU", None, 5, "\ud83d"]), max_size=3)
    | st.just("<5 000 markets>")
    | odd
)
usual = {
    "href": addresses,
    "uri": texts | odd,
    "external_urls": urls,
    "type": texts | odd,
}
credit = st.fixed_dictionaries(
    {"id": st.sampled_from(ARTISTS) | odd, "name": texts | odd}, optional=usual
)
credits_ = st.lists(credit | odd, max_size=3) | st.just("<300 credits>") | odd
kinds = st.sampled_from(
    [
        "album",
        "single",
        "ep",
        "compilation",
        "EP",
        "Album",
        "odd",
        60 * "x",
        "\ud83d",
        "=1",
        "",
        None,
        7,
    ]
)


def albums() -> st.SearchStrategy[Any]:
    """One item of a list; most of them are albums, however odd."""
    return st.fixed_dictionaries(
        {"id": st.sampled_from(ALBUMS) | st.sampled_from([None, 5, "", "x" * 22 + "\n"])},
        optional={
            **usual,
            "name": texts | odd,
            "album_type": kinds,
            "release_date": st.sampled_from(DATES) | odd,
            "release_date_precision": st.sampled_from(["day", "month", "year", "era", None, 3]),
            "total_tracks": numbers | odd,
            "images": pictures,
            "available_markets": markets,
            "artists": credits_,
        },
    )


def usable() -> st.SearchStrategy[Any]:
    """An album that has all that it needs to be kept, and is odd in the rest."""
    return st.builds(
        lambda rest, identity, name: {**rest, "id": identity, "name": name},
        albums(),
        st.sampled_from(ALBUMS),
        texts,
    )


def lists() -> st.SearchStrategy[list[Any]]:
    """The items of one answer; at least one of them can be kept."""
    return st.builds(
        lambda some, sure: [*some, sure], st.lists(usable() | albums() | odd, max_size=4), usable()
    )


def details() -> st.SearchStrategy[Any]:
    """What an artist object says beyond its credit."""
    return st.fixed_dictionaries(
        {"id": st.sampled_from(ARTISTS)},
        optional={
            "images": pictures,
            "genres": st.lists(texts | odd, max_size=3) | odd,
            "popularity": numbers | odd,
            "followers": st.fixed_dictionaries({"total": numbers | odd}) | odd,
        },
    )


def whole(value: Any) -> Any:
    """Put what is large in the place of what stands for it."""
    if isinstance(value, list):
        return [whole(each) for each in value]
    if isinstance(value, dict):
        return {name: whole(each) for name, each in value.items()}
    return LARGE.get(value, value) if isinstance(value, str) else value
