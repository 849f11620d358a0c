"""Strangers at the login."""

import http.client
import threading
import time
from urllib.parse import urlsplit

from tests.support.server_processes import agree
from tests.system.attacks.siege import SHORT, Siege

HOST = {"Host": "127.0.0.1:5000"}  # of PUBLIC_URL


def log_in(port: int) -> int:
    """As a browser does; the status of the callback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/auth/login/", headers=HOST)
        begun = connection.getresponse()
        begun.read()
        cookie = str(begun.headers["Set-Cookie"]).split(";")[0]
        back = urlsplit(agree(str(begun.headers["Location"])))
        connection.request("GET", f"{back.path}?{back.query}", headers={**HOST, "Cookie": cookie})
        ended = connection.getresponse()
        ended.read()
        return ended.status
    finally:
        connection.close()


def test_logins_begun_without_end_hold_up_nobody(siege: Siege) -> None:
    siege.withstand("logins:begun", 15 if siege.long else SHORT)


def test_made_up_codes_of_a_stranger_do_not_keep_the_owner_out(siege: Siege) -> None:
    statuses: list[int] = []
    seconds, pause = (120, 2.0) if siege.long else (0.8, 0.02)

    def owner() -> None:
        time.sleep(seconds / 2)
        statuses.append(log_in(siege.server.port))

    thread = threading.Thread(target=owner)
    thread.start()
    siege.withstand("logins:made_up", seconds, pause=pause)
    thread.join()
    assert statuses == [303]
