"""`GET /problems/{kind}`: what a problem means and what to do, for people and for programs."""

from typing import Any
from urllib.parse import urlsplit

import orjson

from handlers.api.releases import PayloadHandler
from handlers.base import BaseHandler
from handlers.pages.base import PageHandler
from server.errors import NothingThere
from server.openapi import problem_kinds
from server.openapi.explanation import Explanation
from server.serving import payload
from server.serving.payload import Payload


class ProblemHandler(PageHandler, PayloadHandler):
    """Sends HTML to who prefers that, and else JSON."""

    shared = True

    def get(self, kind: str) -> None:
        """Send the explanation. Raises NothingThere for a kind that does not exist."""
        explained = problem_kinds.find(kind)
        if explained is None:
            raise NothingThere("There is no problem of this kind.")
        self.set_page_headers()
        content_type, body = self._written(explained)
        headers = (
            ("Content-Type", content_type),
            ("Cache-Control", "public, max-age=3600"),
            ("Vary", "Accept, Accept-Encoding"),
            ("Link", payload.links(self._root)),
        )
        self.send(Payload(body, headers).coded(self.coding))

    head = get

    def _written(self, explained: Explanation) -> tuple[str, bytes]:
        if self.prefers_page:
            page = self._pages.render("problem.html", title=explained.title, problem=explained)
            return "text/html; charset=utf-8", page
        content = {
            "type": f"{urlsplit(self._root).path}/problems/{explained.kind}",
            "title": explained.title,
            "statuses": explained.statuses,
            "meaning": explained.meaning,
            "advice": explained.advice,
        }
        return payload.JSON, orjson.dumps(content)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a page or with a problem, as the client prefers."""
        self.set_header("Vary", "Accept")
        answer = PageHandler if self.prefers_page else BaseHandler
        answer.write_error(self, status_code, **kwargs)
