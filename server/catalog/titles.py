"""Strips the names of editions from titles: `X (Deluxe) [2026 Remaster]` becomes `x`. Pure.

An edition is the same work in another form: deluxe, explicit, remastered, sped up, for Japan. Only
parts that consist of known words are removed, so whatever denotes another work (live, acoustic, a
remix, a guest, `Vol. 2`) stays without having to be listed.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

MAX_LENGTH = 1000  # characters; longer titles are compared unchanged
ACCENTS = re.compile("[\u0300-\u036f]+")  # in other scripts such marks are letters: パ is not ハ


def folded(text: str) -> str:
    """Remove case, accents and width, so that Ólafur is sorted next to Olaf."""
    if text.isascii():
        return text.casefold()
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return ACCENTS.sub("", unicodedata.normalize("NFKD", decomposed))


def _vocabulary(words: str) -> frozenset[str]:
    return frozenset(folded(words).split())


ANNIVERSARIES = _vocabulary("anniversary aniversario aniversário anniversario anniversaire")
# Each of these names an edition by itself, in brackets or after a dash.
MARKS = ANNIVERSARIES | _vocabulary(
    """deluxe luxe explicit clean censored uncensored edited expanded remaster remastered bonus
    sped slowed reissue reissued repackage repackaged single remasterizado remasterizada expandida
    explícita explícito reedición reedição réédition remasterisé remasterisée rimasterizzato
    erweiterte jubiläumsedition делюкс ремастер ремастеринг переиздание юбилейное
    デラックス リマスター リマスター版 初回限定盤 通常盤 豪華盤 豪華版 豪华版 디럭스 리패키지"""
)
# These do together with a noun: `(Special)` and `(Japan)` alone may mean more than an edition.
# Languages are not among them, because a `(Spanish Version)` is another recording.
QUALIFIERS = _vocabulary(
    """special limited standard regular complete ultimate definitive extended enhanced premium
    exclusive collector collectors platinum gold silver diamond super legacy tour digital physical
    re vinyl cd lp album radio international worldwide export especial speciale spéciale limitada
    japan korea china taiwan asia asian europe european eu uk us usa america american canada
    canadian australia australian brazil mexico france germany italy spain speed"""
)
NOUNS = _vocabulary(
    """edition editions version versions ver edit release issue pressing edición versión edição
    versão edizione versione ausgabe издание версия 版 エディション バージョン
    up"""  # "speed up", as some spell "sped up"
)
FILLERS = _vocabulary("the a and with of de + plus ultra track tracks year years reverb down mono")
KNOWN = MARKS | QUALIFIERS | NOUNS | FILLERS | _vocabulary("stereo digitally")
YEAR = re.compile("(?:19|20)[0-9]{2}")
ORDINAL = re.compile("[0-9]{1,3}(?:st|nd|rd|th|o|a|e|eme)?")
# Unambiguous even without a bracket or dash: `X Deluxe`, but not `Come Clean`.
BARE = re.compile(
    "(?<= )(?:"
    "(?:(?:the|super|ultra|edition|edicion|edicao|edizione|version|versao) )*deluxe"
    "(?: (?:edition|version|ver|album))?"
    "|(?:expanded|extended|special|limited|collectors|remastered|explicit|clean|bonus tracks?)"
    " (?:edition|version)"
    "|(?:[0-9]+(?:st|nd|rd|th) )?anniversary (?:(?:deluxe|expanded|special) )?edition"
    "|remaster(?:ed)?|sped up(?: version)?|slowed (?:and |[+] )?reverb"
    ")$"
)
BARE_WORDS = 8  # at the end of a title that BARE is applied to
BORDER = re.compile(r"([(\[{【〔]|[)\]}】〕]|\s[-‐–—―−~〜|])")
CLOSING = ")]}】〕"
SPELLING = str.maketrans(
    {**dict.fromkeys('!"#%()*,-./:;?@[\\]^_{|}~', " "), "&": " and ", "+": " + "}
    | dict.fromkeys("'`’‘ʼ′")
)


class _Kind(Enum):
    TEXT = "text"
    BRACKET = "bracket"
    DASH = "dash"


Segment = tuple[_Kind, list[str]]


@dataclass(frozen=True, slots=True)
class Title:
    """A stripped title, and the number of words that were removed."""

    text: str
    removed: int


def strip(title: str) -> Title:
    """Fold a title and strip its editions, but never all of it. The function is idempotent."""
    if len(title) > MAX_LENGTH:
        return Title(title, 0)
    text = folded(title)
    segments = _segments(text)
    if not segments:  # only punctuation, which is the title then: `???`
        return Title(" ".join(text.split()) or title, 0)
    remaining = _without_editions(segments)
    words = [word for each in remaining for word in each]
    removed = sum(len(each) for _, each in segments) - len(words)
    if _without_bare(words) != words:
        # Keep the brackets of `(Live Deluxe)`, so that a second run does not strip it.
        words = [*words[: -len(remaining[-1])], f"({' '.join(remaining[-1])})"]
    return Title(" ".join(words), removed)


def _segments(text: str) -> list[Segment]:
    """Split a title into segments at its outermost brackets and its dashes."""
    head, *rest = BORDER.split(text)
    segments: list[Segment] = [(_Kind.TEXT, _words(head))]
    depth = 0
    for border, part in zip(rest[::2], rest[1::2], strict=True):
        was = depth
        if border in CLOSING:
            depth = max(depth - 1, 0)
        elif not border[0].isspace():
            depth += 1
        if was and depth:  # still within the outermost bracket
            segments[-1][1].extend(_words(part))
            continue
        opens = _Kind.TEXT if border in CLOSING else _Kind.DASH
        segments.append((_Kind.BRACKET if depth else opens, _words(part)))
    return [segment for segment in segments if segment[1]]


def _words(text: str) -> list[str]:
    text = text.translate(SPELLING)
    return (text if text.isascii() else "".join(map(_spaced, text))).split()


def _spaced(char: str) -> str:
    """Return a space for punctuation, nothing for an invisible character, else the character."""
    if char.isalnum():
        return char
    category = unicodedata.category(char)
    if category == "Cf" or "\ufe00" <= char <= "\ufe0f":
        return ""
    return " " if category[0] in "PZ" or category == "Sk" else char


def _without_editions(segments: list[Segment]) -> list[list[str]]:
    """Drop the editions at the end; the first segment always stays, at least in part."""
    remaining: list[list[str]] = []
    place = len(segments)
    while place:
        place -= 1
        kind, words = segments[place]
        if place and kind is not _Kind.TEXT and _names_edition(words):
            continue
        if kind is not _Kind.BRACKET and not remaining:
            words = _without_bare(words, may_vanish=place > 0)
        if words:
            remaining.append(words)
            if kind is _Kind.TEXT:
                break
    return [words for _, words in segments[:place]] + remaining[::-1]


def _names_edition(words: list[str]) -> bool:
    marked = not MARKS.isdisjoint(words)
    marked = marked or not (QUALIFIERS.isdisjoint(words) or NOUNS.isdisjoint(words))
    counted = not ANNIVERSARIES.isdisjoint(words)
    return marked and all(
        word in KNOWN or YEAR.fullmatch(word) or (counted and ORDINAL.fullmatch(word))
        for word in words
    )


def _without_bare(words: list[str], *, may_vanish: bool = False) -> list[str]:
    while True:
        end = " " * may_vanish + " ".join(words[-BARE_WORDS:])
        found = BARE.search(end)
        if found is None:
            return words
        words = words[: -len(found[0].split())]
