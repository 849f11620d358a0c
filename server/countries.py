"""The country codes that settings and queries accept. Pure.

Source: ISO 3166-1 alpha-2, the officially assigned codes (iso.org/obp/ui), and XK for Kosovo, a
user-assigned code that is one of Spotify's markets.
"""

from itertools import groupby
from typing import Final

_CODES: Final = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR"
    " BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ"
    " EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW"
    " GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY"
    " KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV"
    " MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY"
    " QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG"
    " TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA"
    " ZM ZW"
)
CODES: Final = frozenset(_CODES.split())
MISTAKEN: Final = {"UK": "GB", "EL": "GR"}  # what the European Union writes → what ISO assigns


def country(text: str) -> str:
    """Return a country code in capitals. Raises ValueError if it is not assigned."""
    code = text.upper()
    if text.isascii() and code in CODES:
        return code
    hint = f"; for {code} use {MISTAKEN[code]}" if code in MISTAKEN else ""
    raise ValueError(f"must be a country code of ISO 3166-1 alpha-2, such as DE{hint}")


def _pattern() -> str:
    groups = groupby(sorted(CODES), key=lambda code: code[0])
    starts = (
        f"[{first}{first.lower()}][{''.join(code[1] + code[1].lower() for code in codes)}]"
        for first, codes in groups
    )
    return f"^({'|'.join(starts)})$"


PATTERN: Final = _pattern()
"""A regular expression (ECMA-262) for the codes that `country` accepts."""
