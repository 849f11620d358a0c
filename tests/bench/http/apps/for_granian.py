"""Granian without a framework, by either of its interfaces."""

from typing import Any

from tests.bench.http.apps.answers import ANSWERS

AS_PAIRS = {path: (list(headers.items()), body) for path, (headers, body) in ANSWERS.items()}
AS_BYTES = {
    path: (
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        },
        {"type": "http.response.body", "body": body, "more_body": False},
    )
    for path, (headers, body) in ANSWERS.items()
}


async def rsgi(scope: Any, protocol: Any) -> None:
    headers, body = AS_PAIRS[scope.path]
    protocol.response_bytes(200, headers, body)


async def asgi(scope: Any, _receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        start, body = AS_BYTES[scope["path"]]
        await send(start)
        await send(body)
