"""Who may read `/metrics`: with the key of METRICS_KEY, or who connects directly."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from tornado.httpclient import HTTPResponse

from tests.support.client import Client
from tests.support.examples import albums
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn

KEY = "a-key.of-sixteen+characters=="

Ask = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture
def reading(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> Callable[..., Awaitable[Ask]]:
    async def start(**settings: str) -> Ask:
        client = Client(await start_freshet(start_standin(albums(2)), **settings))

        async def ask(method: str = "GET", **headers: str) -> HTTPResponse:
            return await client.fetch("/metrics", method, **headers)

        return ask

    return start


@pytest.mark.gen_test
async def test_with_a_key_only_that_key_opens_the_metrics(reading: Any) -> None:
    ask = await reading(metrics_key=KEY)
    for method in ("GET", "HEAD"):
        for scheme in ("Bearer", "bearer"):
            assert (await ask(method, Authorization=f"{scheme} {KEY}")).code == 200
        assert (await ask(method, Authorization=f"Bearer {KEY}", X_Forwarded_For="::1")).code == 200
        for wrong in ("", "Bearer", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Basic {KEY}", KEY):
            refused = await ask(method, **({"Authorization": wrong} if wrong else {}))
            assert refused.code == 401, wrong
            assert refused.headers["WWW-Authenticate"] == 'Bearer realm="metrics"'
            assert b"freshet_" not in refused.body
    problem = orjson.loads((await ask(Authorization="Bearer é")).body)
    assert (problem["status"], problem["type"]) == (401, "/problems/metrics-key-needed")


FORWARDED = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Via"]


@pytest.mark.gen_test
async def test_without_a_key_what_an_unknown_proxy_passes_on_is_refused(reading: Any) -> None:
    """The proxy is on this host, so its strangers come from 127.0.0.1."""
    ask = await reading()
    assert (await ask()).code == 200
    for name in [*FORWARDED, "Forwarded"]:
        for value in ("192.0.2.1", "127.0.0.1", ""):
            refused = await ask(**{name: value})
            assert refused.code == 403, (name, value)
    problem = orjson.loads(refused.body)
    assert problem["type"] == "/problems/metrics-by-proxy"
    assert "METRICS_KEY" in problem["detail"]


@pytest.mark.gen_test
async def test_a_trusted_proxy_lets_in_only_clients_of_its_own_host(reading: Any) -> None:
    ask = await reading(trusted_proxies="127.0.0.1, ::1, 10.0.0.0/8")
    assert (await ask()).code == 200
    for client, code in (
        ("127.0.0.1", 200),
        ("::1", 200),
        ("192.0.2.1", 403),
        ("127.0.0.1, 192.0.2.1", 403),
        ("192.0.2.1, 127.0.0.1", 403),
        ("10.0.0.9", 403),
        ("unknown", 403),
    ):
        assert (await ask(X_Forwarded_For=client)).code == code, client
    for name in ("Via", "Forwarded", "X-Forwarded-Proto"):  # which tell nothing of the client
        assert (await ask(**{name: "1.1 proxy"})).code == 403, name
