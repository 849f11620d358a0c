"""The answer to a request that no handler sees: a problem, as handlers would give it."""

import re

import orjson

from server.http.forwarded import TrustedProxies
from server.http.refusals import Unreadable
from server.observability.access_log import AccessLog, new_id
from server.openapi import problem_kinds

QUOTED = re.compile(r"[:'\"].*", re.DOTALL)  # from where on a reason may hold the client's words


class Refuser:
    """Answers and logs what no handler sees; `root` is the path of PUBLIC_URL."""

    def __init__(self, root: str, access_log: AccessLog, proxies: TrustedProxies) -> None:
        self._root = root
        self._access_log = access_log
        self._proxies = proxies

    def __call__(self, asked: Unreadable) -> bytes:
        """Log it; return the body of the answer."""
        explained, request_id = problem_kinds.of_status(asked.status), new_id()
        reason = QUOTED.sub("", asked.reason).strip()
        detail = f"The request cannot be read: {reason}."
        problem = problem_kinds.problem(
            self._root, explained.kind, explained.title, asked.status, detail, request_id
        )
        body = orjson.dumps(problem)
        self._access_log.refused(
            request_id,
            asked.method,
            asked.target,
            self._proxies.origin(asked.peer, asked.headers),
            asked.status,
            len(body),
            asked.reason,
        )
        return body
