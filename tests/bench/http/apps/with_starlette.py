"""Starlette: a response made once, sent as often as it is asked for."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.bench.http.apps.answers import ANSWERS, Answer


def route(path: str, answer: Answer) -> Route:
    ready = Response(answer[1], headers=answer[0])

    async def endpoint(_request: Request) -> Response:
        return ready

    return Route(path, endpoint)


app = Starlette(routes=[route(*each) for each in ANSWERS.items()])
