"""FastAPI: a response made once, sent as often as it is asked for."""

from fastapi import FastAPI
from fastapi.responses import Response

from tests.bench.http.apps.answers import ANSWERS, Answer

app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)


def add(path: str, answer: Answer) -> None:
    ready = Response(answer[1], headers=answer[0])

    async def endpoint() -> Response:
        return ready

    app.get(path)(endpoint)


for each in ANSWERS.items():
    add(*each)
