"""A RequestHandler that writes a constant, on uvloop; nothing else. `… bare_tornado PORT`."""

import asyncio
import sys

import uvloop
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from tests.bench.http.apps.answers import ANSWERS


class Constant(RequestHandler):
    def initialize(self, headers: dict[str, str], body: bytes) -> None:
        self.ready, self.body = headers, body

    def compute_etag(self) -> str:
        """Tornado would hash the body each time; this one knows its tag."""
        return self.ready["etag"]

    def get(self) -> None:
        for name, value in self.ready.items():
            self.set_header(name, value)
        self.write(self.body)


async def main() -> None:
    routes = [
        (path, Constant, {"headers": headers, "body": body})
        for path, (headers, body) in ANSWERS.items()
    ]
    server = HTTPServer(Application(routes, log_function=lambda _: None))
    server.listen(int(sys.argv[1]), "127.0.0.1", backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
