"""The stand-in's HTML pages: plain, accessible, light and dark, and marked as not Spotify's."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from tornado.template import DictLoader

from server.standin.accounts.consent import SCOPES, ConsentRequest
from server.standin.world import Listener

_BASE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{{ title }} · Stand-in for Spotify</title>
<style>
:root { --ground: #f3f1ec; --card: #fff; --ink: #1d2126; --soft: #565d66; --line: #d9d5cc;
        --deep: #24577a; --on-deep: #fff; --note: #fdf0d2; --on-note: #5b4300; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171b; --card: #1e2329; --ink: #eceff2; --soft: #a9b2bc; --line: #353c45;
          --deep: #8cc4ea; --on-deep: #0d2230; --note: #3a2f14; --on-note: #f7dfa6; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
       font: 1.0625rem/1.5 system-ui, sans-serif; }
.note { margin: 0; padding: .6rem 1rem; background: var(--note); color: var(--on-note);
        text-align: center; font-size: .95rem; }
main { width: min(32rem, 100% - 2rem); margin: 4vh auto; padding: clamp(1rem, 5vw, 2rem);
       background: var(--card); border: 1px solid var(--line); border-radius: 1rem; }
main.wide { width: min(72rem, 100% - 2rem); }
h1 { margin: .5rem 0 1rem; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
.soft { color: var(--soft); font-size: .95rem; }
li { margin: .3rem 0; }
code { overflow-wrap: anywhere; }
a { color: var(--deep); }
form { display: flex; gap: .75rem; margin-top: 1.5rem; }
button { flex: 1; padding: .75rem; border: 1px solid var(--deep); border-radius: 2rem;
         font: inherit; font-weight: 600; background: none; color: var(--deep); cursor: pointer; }
button.agree { background: var(--deep); color: var(--on-deep); }
button:focus-visible, a:focus-visible { outline: 3px solid var(--deep); outline-offset: 3px; }
img { display: block; width: 100%; height: auto; border-radius: .5rem; }
.covers { display: grid; gap: 1rem; padding: 0; list-style: none;
        grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
.covers a { text-decoration: none; color: inherit; font-size: .9rem; overflow-wrap: anywhere; }
.covers b { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2;
          overflow: hidden; margin-top: .4rem; line-height: 1.3; }
</style>
</head>
<body>
<p class="note"><strong>This is not Spotify.</strong> It is a stand-in that runs on this computer
for a demonstration. Artists and records are invented.</p>
{% block main %}{% end %}
</body>
</html>
"""

_CONSENT: Final = """{% extends "base.html" %}{% block main %}<main>
<h1>Let this app use your stand-in account?</h1>
<p>The app <code>{{ request.client_id }}</code> asks <strong>{{ listener.display_name }}</strong>,
a listener who does not exist, for permission to:</p>
<ul>
<li>See your name and account id</li>
{% for scope in request.scopes %}<li>{{ scopes[scope] }}</li>
{% end %}</ul>
<p class="soft">In both cases you return to <strong>{{ host }}</strong>. No real account is
involved, and no password is needed.</p>
<form method="post" action="/authorize?{{ query }}">
<button class="agree" name="answer" value="agree">Agree</button>
<button name="answer" value="cancel">Cancel</button>
</form>
</main>{% end %}"""

_REFUSAL: Final = """{% extends "base.html" %}{% block main %}<main>
<h1>{{ title }}</h1>
<p>Spotify would refuse this login with the message above, and so does its stand-in. You have not
been sent back to the app, because its request cannot be trusted.</p>
<p class="soft">Correct the app's client id or redirect URI, which must match a registered one
exactly, and then start again from the app.</p>
</main>{% end %}"""

_ITEM: Final = """{% extends "base.html" %}{% block main %}<main>
{% if image %}<img src="{{ image }}" alt="" width="640" height="640">{% end %}
<h1 dir="auto">{{ title }}</h1>
<p>{{ about }}</p>
{% if links %}<ul>
{% for address, text in links %}<li><a href="{{ address }}"><bdi>{{ text }}</bdi></a></li>
{% end %}</ul>{% end %}
<p class="soft">On Spotify, you could listen here.</p>
</main>{% end %}"""

_COVERS: Final = """{% extends "base.html" %}{% block main %}<main class="wide">
<h1>{{ title }}</h1>
<ul class="covers">
{% for address, image, name, credits in covers %}<li><a href="{{ address }}">
<img src="{{ image }}" alt="" width="300" height="300" loading="lazy">
<b dir="auto">{{ name }}</b> <span class="soft">
{% for i, credit in enumerate(credits) %}{{ ", " if i else "" }}<bdi>{{ credit }}</bdi>{% end %}
</span></a></li>
{% end %}</ul>
</main>{% end %}"""

_PAGES: Final = DictLoader(
    {
        "base.html": _BASE,
        "consent.html": _CONSENT,
        "refusal.html": _REFUSAL,
        "item.html": _ITEM,
        "covers.html": _COVERS,
    }
)


def consent_page(request: ConsentRequest, listener: Listener, query: str) -> bytes:
    """Return the consent page; its form posts to the same address with the same `query`."""
    return _PAGES.load("consent.html").generate(
        title="Agree?",
        request=request,
        listener=listener,
        scopes=SCOPES,
        host=urlsplit(request.redirect_uri).netloc,
        query=query,
    )


def refusal_page(reason: str) -> bytes:
    """Return the page that explains why a login is refused."""
    return _PAGES.load("refusal.html").generate(title=reason)


def item_page(
    title: str, about: str, image: str | None = None, links: Sequence[tuple[str, str]] = ()
) -> bytes:
    """Return the page of an album or artist: an image, a sentence, and links (address, text)."""
    page = _PAGES.load("item.html")
    return page.generate(title=title, about=about, image=image, links=links)


def listing_page(title: str, covers: Sequence[tuple[str, str, str, Sequence[str]]]) -> bytes:
    """Return a page of covers, each given as (address, image, name, credits)."""
    return _PAGES.load("covers.html").generate(title=title, covers=covers)
