"""Invented names: words that combine to phrases in many scripts, and a roster of artists."""

from dataclasses import dataclass
from random import Random
from typing import Final


@dataclass(frozen=True)
class Lexicon:
    """Words of one language; one of each list, joined, make a phrase."""

    firsts: tuple[str, ...]
    seconds: tuple[str, ...]
    joiner: str = " "

    def phrase(self, rng: Random) -> str:
        """Return a phrase of two parts: the title of a record, or the name of a band."""
        return f"{rng.choice(self.firsts)}{self.joiner}{rng.choice(self.seconds)}"


def _lexicon(firsts: str, seconds: str, joiner: str = " ") -> Lexicon:
    return Lexicon(tuple(firsts.split("|")), tuple(seconds.split("|")), joiner)


LEXICONS: Final[dict[str, Lexicon]] = {
    "english": _lexicon(
        "Paper|Salt|Velvet|Hollow|Electric|Borrowed|Midnight|Amber|Quiet|Second-Hand|Tidal|Copper"
        "|Winter|Glass|Neon|Slow|Faraway|Burnt|Saturday|Invisible|Northern|Pocket|Feral|Half|Lunar"
        "|Cardboard|Wayward|Tender|Sunken|Polite|Radio|Early|Untidy|Marble|Seven|Wild",
        "Orchard|Harbour|Telegram|Weather|Ferries|Machines|Cathedral|Lanterns|Kitchen|Atlas"
        "|Letters|Foxes|Staircase|Receipts|Tides|Parade|Swimming Pool|Umbrellas|Gardens|Motorway"
        "|Hours|Rooms|Satellites|Honey|Postcards|Thunder|Bicycles|Arcade|Hotel|Moths|Signals",
    ),
    "spanish": _lexicon(
        "Jardín|Verano|Corazón|Tren|Balcón|Otoño|Faro|Sueño|Domingo|Laberinto|Pájaro|Océano",
        "de Papel|sin Dueño|Eléctrico|Invisible|de Sal|de Ámbar|Ajeno|de Medianoche|Salvaje|Añil",
    ),
    "polish": _lexicon(
        "Żółty|Nocny|Cichy|Ostatni|Szklany|Późny|Leśny|Mój Mały|Wędrowny",
        "Tramwaj|Śnieg|Księżyc|Wieczór|Ogród|Świt|Pociąg|Sąsiad|Liść",
    ),
    "turkish": _lexicon(
        "Mavi|Eski|Kâğıt|Küçük|Uzak|Gümüş|Sessiz|Yarım|Ilık",
        "Bahçe|Şehir|Vapur|Kuş|Güneş|Yağmur|Pencere|Düğün|Işık",
    ),
    "cyrillic": _lexicon(
        "Тихий|Северный|Зимний|Бумажный|Лунный|Медный|Сонный|Дальний|Стеклянный|Янтарный|Ночной",
        "трамвай|маяк|снег|вокзал|сад|берег|дождь|чай|туман|город|троллейбус|рассвет",
    ),
    "greek": _lexicon(
        "Μικρό|Ήσυχο|Χάρτινο|Βραδινό|Αργό|Κρυφό|Γαλάζιο|Τελευταίο|Μακρινό",
        "Κύμα|Τραμ|Φεγγάρι|Καλοκαίρι|Νησί|Γράμμα|Λιμάνι|Ταξίδι|Όνειρο",
    ),
    "japanese": _lexicon(
        "硝子|夕凪|紙|真夜中|雨上がり|月曜日|青い海|屋上|冬空|六月|銀色|港町",
        "駅|ラジオ|クジラ|手紙|自転車|温室|地図|プール|灯台|図書館|メロディー|魚",
        "の",
    ),
    "korean": _lexicon(
        "새벽|종이|겨울|파란|조용한|마지막|은빛|유월의|비 오는|골목",
        "우체국|고래|전철|편의점|바다|옥상|라디오|편지|등대|정원",
    ),
    "arabic": _lexicon(
        "مقهى|ليل|بحر|قطار|شتاء|صوت|باب|ظل|حديقة|رسائل",
        "القمر|الياسمين|المدينة|المطر|الصباح|الذاكرة|الغياب|النهر|الشمال",
    ),
    "hebrew": _lexicon(
        "רכבת|בית|שיר|חלון|גשם|אור|רחוב|מכתבי|ריח",
        "הלילה|הים|הירח|הקיץ|החורף|העיר|השחר|התפוזים",
    ),
    "devanagari": _lexicon(
        "नीला|धीमा|पुराना|काग़ज़ी|सुनहरा|आख़िरी|छोटा|भीगा",
        "डाकघर|चाँद|सावन|आसमान|रास्ता|शहर|दरवाज़ा|जंगल",
    ),
}
"""The languages of titles and of new artists' names."""

ROSTER: Final[tuple[tuple[str, str], ...]] = (
    ("english", "The Paper Lanternists"),
    ("english", "Oleander Fax"),
    ("english", "Marginalia Club"),
    ("english", "Ottilie Marsh-Okonedo"),
    ("english", "Ottilie Marsh-Okonedo"),
    ("english", "Ottilie Marsh-Okonedo"),
    ("english", "DJ Wet Umbrella"),
    ("english", "Tangerine Bureaucrat"),
    ("english", "Grandmother's Modem"),
    ("english", "MC Semicolon;"),
    ("english", "Ambrose Quillfeather & His Reluctant Orchestra of Lost Umbrellas"),
    ("english", "ꙮ"),
    ("english", "Søren Vinterlys"),
    ("english", "Íris Þokudóttir"),
    ("english", "Kjærsti & the Ferrymen"),
    ("english", "Zoë Brückenwald"),
    ("english", "Nnamdi Glasswater"),
    ("english", "L'Été des Pamplemousses"),
    ("english", "Château Brouillard"),
    ("english", "<blink>182nd Street</blink>"),
    ("english", "🦊🌧️"),
    ("english", "⚡ Lady Kilowatt ⚡"),
    ("spanish", "Año Cangrejo"),
    ("spanish", "Íñigo Peñalba Trío"),
    ("spanish", "Las Señoritas del Ñandú"),
    ("spanish", "Coração de Plástico-Bolha"),
    ("polish", "Zażółć Gęślą"),
    ("polish", "Orkiestra Ósmego Piętra"),
    ("turkish", "Gülşen Kâğıtçıoğlu"),
    ("cyrillic", "Ночной Троллейбус № 6"),
    ("cyrillic", "Морозный Самовар"),
    ("cyrillic", "Їжакова Весна"),
    ("greek", "Η Βροχή του Σαββάτου"),
    ("greek", "Μελπομένη Ραδιοκύμα"),
    ("japanese", "夕凪ラジオ局"),
    ("japanese", "三角定規ズ"),
    ("japanese", "クジラと自転車"),
    ("korean", "새벽우체국"),
    ("korean", "고래자리 편의점"),
    ("arabic", "مقهى القمر البعيد"),
    ("arabic", "ياسمين الراديو"),
    ("hebrew", "תזמורת רחוב התפוזים"),
    ("devanagari", "चाँदनी डाकघर"),
    ("devanagari", "मीरा और काग़ज़ की नाव"),
)
"""Languages and names of artists, all invented; a repeated name is that of several artists."""

LONG_TITLES: Final = (
    "An Incomplete and Increasingly Apologetic Inventory of Everything We Left in the Rehearsal"
    " Room the Night the Canal Came Up Through the Floor, Including but Not Limited to Two"
    " Borrowed Amplifiers, a Harmonium of Doubtful Ownership, Somebody's Cousin, and the Only"
    " Finished Copy of the Record You Are Now Holding (Original Motion Picture Soundtrack)",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft, Vol. 11",
)
SHORT_TITLES: Final = ("〇", "Ж", "é", "∞")
AWKWARD_TITLES: Final = (
    'Rock & <Roll> "Tonight" isn\'t /over/ 100%',
    "Robert'); DROP TABLE albums; -- (Remix)",
    "  Mind   the   Gap  ",
)
SAMPLERS: Final = ("Fresh Tides", "Night Ferry Sessions", "Kitchen Discotheque", "Six New Maps")
GENRES: Final = (
    "dream pop",
    "city pop",
    "post-punk",
    "folk",
    "drum and bass",
    "chamber pop",
    "ambient",
    "highlife",
    "electro swing",
    "math rock",
    "rebetiko",
    "neo soul",
)
LABELS: Final = ("Puddle Records", "Third Floor Left", "Lighthouse Audio", "Bent Spoon Music")
