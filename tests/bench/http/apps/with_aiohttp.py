"""aiohttp on uvloop, without an access log. `… with_aiohttp PORT`."""

import sys
from collections.abc import Awaitable, Callable

import uvloop
from aiohttp import web
from multidict import CIMultiDict

from tests.bench.http.apps.answers import ANSWERS, Answer


def handler(answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
    headers, body = CIMultiDict(answer[0]), answer[1]

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=body, headers=headers)

    return handle


if __name__ == "__main__":
    app = web.Application()
    app.add_routes([web.get(path, handler(answer)) for path, answer in ANSWERS.items()])
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        backlog=1024,
        loop=uvloop.new_event_loop(),
    )
