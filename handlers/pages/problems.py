"""`GET /problems/{kind}`: the explanation of a kind of problem, as HTML or JSON."""

from typing import Any
from urllib.parse import urlsplit

import orjson

from handlers.api.releases import PayloadHandler
from handlers.base import BaseHandler
from handlers.pages.base import PageHandler
from server.errors import NotFound
from server.openapi import problem_kinds
from server.openapi.problem_kinds import Explanation
from server.serving import payload
from server.serving.payload import Payload


class ProblemHandler(PageHandler, PayloadHandler):
    """Sends HTML to clients that prefer it, and JSON to all others."""

    shared = True

    def get(self, kind: str) -> None:
        """Send the explanation. Raises NotFound for a kind that does not exist."""
        explanation = problem_kinds.find(kind)
        if explanation is None:
            raise NotFound("No problem of this kind exists.")
        self.set_page_headers()
        content_type, body = self._rendered(explanation)
        headers = (
            ("Content-Type", content_type),
            ("Cache-Control", "public, max-age=3600"),
            ("Vary", "Accept, Accept-Encoding"),
            ("Link", payload.links(self._root)),
        )
        self.send(Payload(body, headers).encoded(self.coding))

    head = get

    def _rendered(self, explanation: Explanation) -> tuple[str, bytes]:
        if self.prefers_page:
            page = self._pages.render("problem.html", title=explanation.title, problem=explanation)
            return "text/html; charset=utf-8", page
        content = {
            "type": f"{urlsplit(self._root).path}/problems/{explanation.kind}",
            "title": explanation.title,
            "statuses": explanation.statuses,
            "meaning": explanation.meaning,
            "advice": explanation.advice,
        }
        return payload.JSON, orjson.dumps(content)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send the error as a page or as a problem, whichever the client prefers."""
        self.set_header("Vary", "Accept")
        answer = PageHandler if self.prefers_page else BaseHandler
        answer.write_error(self, status_code, **kwargs)
