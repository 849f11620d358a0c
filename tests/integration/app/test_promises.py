"""What docs/operating.md promises: each promise has a test, and a stolen dump opens nothing."""

import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator

import pytest
from sqlalchemy import URL

from models import Base
from server.encryption import Encryption
from server.errors import DecryptionFailed
from server.login import session_store
from server.login.attempt import unseal
from tests.support.login_browser import SetStage
from tests.support.paths import ROOT
from tests.support.settings import SECRET

SECTION = (
    (ROOT / "docs" / "operating.md")
    .read_text(encoding="utf-8")
    .partition("\n## What Freshet promises\n")[2]
    .partition("\n## ")[0]
)
HERE = "integration/app/test_promises.py::"
HOSTILE = "integration/spotify/test_hostile_upstream.py::"
PRIVATE = "integration/config/test_private_files.py::"
HELD_BY = {  # by the start of a promise; each name is of a file in tests/ and of a test in it
    "They cannot fill the memory": "integration/serving/test_memory.py"
    "::test_the_program_and_all_owners_fit_together",
    "They cannot hold up the answers": "integration/http/test_request_limits.py::"
    "test_the_most_expensive_heads_take_little_of_the_loop",
    "They cannot keep answers waiting": "integration/http/test_backlog.py::"
    "test_a_client_that_takes_less_than_the_least_rate_is_closed_and_a_slow_one_is_not",
    "They cannot use up Spotify's calls": "integration/login/test_flood.py::"
    "test_the_owner_gets_in_at_once_while_thousands_of_made_up_callbacks_come",
    "They cannot log in": "integration/login/test_owner.py::"
    "test_without_allowed_users_the_first_owns_and_the_second_may_not",
    "They cannot act in the name": "integration/login/test_owner.py"
    "::test_a_form_of_another_site_does_nothing",
    "They get no answer that is meant": "system/attacks/test_desync.py::",
    "They cannot read the metrics": "integration/observability/test_metrics_access.py::"
    "test_without_a_key_what_an_unknown_proxy_passes_on_is_refused",
    "They cannot make browsers": "integration/http/test_security_headers.py::"
    "test_every_kind_of_answer_has_the_headers_of_its_kind",
    "They cannot frame a page": "integration/http/test_security_headers.py::"
    "test_every_kind_of_answer_has_the_headers_of_its_kind",
    "They cannot use, guess": "integration/login/test_keys_api.py"
    "::test_strangers_get_the_same_answer_at_every_private_address",
    "They learn no secret": "unit/observability/test_log.py::test_secrets_are_masked_inside_text",
    "They cannot read settings": PRIVATE
    + "test_settings_that_another_user_must_not_see_are_not_seen",
    "They cannot keep Freshet": PRIVATE + "test_another_user_can_neither_lock_nor_read_a_lock_file",
    "They cannot connect": "integration/database/test_embedded.py"
    "::test_cannot_be_reached_by_tcp_and_only_by_its_owner",
    "No answer stops": f"{HOSTILE}test_an_answer_that_takes_long_to_decode_is_refused_at_once",
    "No answer fills": "unit/spotify/test_object_parser.py"
    "::test_every_list_and_object_of_an_item_has_a_bound",
    "One bad item": f"{HOSTILE}test_a_page_with_one_bad_release_harms_that_one",
    "Tokens go nowhere": "integration/spotify/test_transport.py::"
    "test_a_redirect_is_not_followed_and_the_authorization_goes_nowhere",
    "No text of it": "integration/serving/test_odd_albums.py::"
    "test_whatever_is_listed_everything_is_answered_from_the_newest_sync",
}


def rows(heading: str) -> list[list[str]]:
    """The rows of all tables of the section whose first column has this heading."""
    found = []
    for table in re.findall(rf"^\| {heading} \|.*\n\|.*\n((?:\|.*\n)+)", SECTION, re.MULTILINE):
        found += [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return found


def test_each_promise_names_a_bound_and_is_held_by_a_test_that_exists() -> None:
    promised = rows("promise")
    assert len(promised) == len(HELD_BY)
    for promise, bound in promised:
        assert bound, promise
        (test,) = [name for start, name in HELD_BY.items() if promise.startswith(start)]
        file, _, function = test.partition("::")
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {function or 'test_'}", source, re.MULTILINE), test


def test_the_guide_says_of_each_table_how_its_secrets_are_kept() -> None:
    told = [name for names, *_ in rows("table") for name in re.findall("`(.+?)`", names)]
    assert sorted(told) == sorted([*Base.metadata.tables, "alembic_version"])


def forms(secret: str) -> Iterator[str]:
    """How a secret may stand in a dump: as it is, and as bytes."""
    yield secret
    yield secret.encode().hex()
    yield b64encode(secret.encode()).decode().rstrip("=")


def dumped(url: str) -> str:
    return subprocess.run(
        [sys.executable, "manage.py", "postgres", "pg_dump"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_stolen_dump_holds_no_secret_and_opens_no_session(
    set_stage: SetStage, database_url: URL
) -> None:
    key = "the-key-of-the-metrics"
    stage = await set_stage(metrics_key=key)
    browser = stage.browser()
    callback = await browser.agree(await browser.begin())
    started = {each.value for each in browser.attempts}
    assert (await browser.get(callback)).code == 303
    await browser.begin()  # a login under way
    started |= {each.value for each in browser.attempts}
    assert browser.session is not None

    ring, cookies = Encryption(SECRET, "tokens"), Encryption(SECRET, "cookies")
    ((access, refresh),) = await stage.all(
        "SELECT access_token, refresh_token FROM logins WHERE refresh_token IS NOT NULL"
    )
    made = await stage.freshet.keys.create(None, "script", ["read"])
    secrets = {
        SECRET,
        key,
        made.key,
        "standin-secret",
        ring.open(bytes(access)),
        ring.open(bytes(refresh)),
    }
    secrets |= {each.value for each in browser.cookies()} | started
    attempts = [unseal(each, cookies) for each in started]
    for attempt in attempts:
        assert attempt is not None
        secrets |= {attempt.state, attempt.verifier}
    secrets |= set(re.findall(r"code=([^&]+)", callback))
    assert len(attempts) == 2
    assert len(secrets) >= 13

    url = database_url.set(drivername="postgresql").render_as_string(hide_password=False)
    dump = dumped(url)
    (account,) = await stage.all("SELECT account_id FROM logins WHERE refresh_token IS NOT NULL")
    assert account in dump
    assert {f"COPY public.{table} " in dump for table in Base.metadata.tables} == {True}
    for secret in secrets:
        for form in forms(secret):
            assert form not in dump, form

    (stored,) = map(bytes, await stage.all("SELECT token_hash FROM sessions"))
    assert stored.hex() in dump
    for guess in (stored.hex(), b64encode(stored).decode(), stored.decode("latin-1")):
        assert (
            await stage.freshet.database.run(session_store.visitor, guess, (), stage.clock())
            is None
        )
    other = Encryption(SECRET[::-1], "tokens")
    for sealed in (access, refresh):
        with pytest.raises(DecryptionFailed):
            other.open(bytes(sealed))
