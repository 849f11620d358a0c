"""Releases and readers for the tests of feeds."""

import csv
import io

from lxml import etree

from server.serving.feeds import Channel
from tests.support.catalog_server import START
from tests.support.paths import ROOT

ATOM = "{http://www.w3.org/2005/Atom}"
CHANNEL = Channel("https://f.example/feeds/x", "https://f.example/", START)
SCHEMATRON = {  # each rule, and what breaks it
    "an entry has an alternate link or content": "//atom:entry"
    "[not(atom:link[@rel='alternate'] or atom:link[not(@rel)] or atom:content)]",
    "an entry has an author, or its feed has": "//atom:entry"
    "[not(atom:author or ../atom:author or atom:source/atom:author)]",
}
HOSTILE = [
    '=HYPERLINK("http://evil.example")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    " =1",
    "＝1",
    "<script>alert(1)</script>",
    "]]>&amp;\u0001\ufffe\x0b",
    'a"b,c;d\\n\r\ne',
    "𝄞 ünïcode \u202e",
    "BEGIN:VEVENT\r\nUID:x",
    "",
]


def faults_of(atom: bytes) -> list[str]:
    """Validate a feed against the schema of RFC 4287, appendix B, with its Schematron rules."""
    schema = etree.RelaxNG(etree.parse(ROOT / "tests" / "support" / "atom.rng"))
    feed = etree.fromstring(atom)
    faults = [] if schema.validate(feed) else [str(each) for each in schema.error_log]
    for rule, test in SCHEMATRON.items():
        if feed.xpath(test, namespaces={"atom": ATOM.strip("{}")}):
            faults.append(rule)
    return faults


def rows(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))
