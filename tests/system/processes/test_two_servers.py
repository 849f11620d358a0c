"""Two servers on one database are one to clients and caches: the same bytes, the same ETags."""

import time
from collections.abc import Callable

from sqlalchemy import URL

from tests.support.process_tree import DECODE, heard_of_the_sync, sent_alike
from tests.support.server_processes import Manage, Server, environment, standin_settings


def test_two_servers_on_one_database_send_the_same_bytes_and_etags(
    run: Callable[..., Server], manage: Manage, database_url: URL, spotify: str
) -> None:
    env = environment(database_url, **standin_settings(spotify))
    env |= {"SYNC_INTERVAL": "0", "PUBLIC_URL": "https://music.example"}
    servers = [run(env=env), run(env=env)]
    for server in servers:
        server.event("server_started")
    assert manage("sync", env=env).returncode == 0
    (moment,) = {heard_of_the_sync(server, "") for server in servers}
    before = sent_alike(*servers)
    time.sleep(1)  # the second in which the next one ends has to be another
    assert manage("sync", env=env).returncode == 0
    for server in servers:
        heard_of_the_sync(server, moment)
    after = sent_alike(*servers)
    same = {name for name in before if before[name] == after[name]}
    assert not [name for name in same if "/api/artists/?release" in name], "all were seen again"
    assert len(same) >= 2 * len(DECODE), "the description has not changed"
