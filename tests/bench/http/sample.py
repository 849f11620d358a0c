"""The answers that all servers give: head and body are Freshet's own."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.bench.http.process import fetch

CASES: dict[str, tuple[str, str]] = {
    "plain": ("/api/artists/?release_limit=7", "identity"),
    "large": ("/api/artists/", "identity"),
    "gzip": ("/api/artists/", "gzip"),
}
"""What is asked: Freshet's address and coding, by name. Others answer at a slash and the name."""
OWN = frozenset({"date", "server", "connection", "keep-alive", "content-length"})


@dataclass(frozen=True)
class Sample:
    """An answer: its headers but for those that each server makes itself, and its body."""

    headers: dict[str, str]
    body: bytes


def asked(case: str) -> dict[str, str]:
    """The headers of a request."""
    coding = CASES[case][1]
    return {} if coding == "identity" else {"Accept-Encoding": coding}


def take(port: int, case: str) -> Sample:
    """What Freshet answers."""
    path, coding = CASES[case]
    status, headers, body = fetch(port, path, **asked(case))
    if status != 200 or headers.get("content-encoding", "identity") != coding:
        raise RuntimeError(f"Freshet answers {status} to a request for {coding}")
    return Sample({name: value for name, value in headers.items() if name not in OWN}, body)


def write(samples: dict[str, Sample], folder: Path) -> None:
    """Put them where the other servers find them."""
    for case, sample in samples.items():
        (folder / f"{case}.body").write_bytes(sample.body)
        (folder / f"{case}.json").write_text(json.dumps(sample.headers))


def check(samples: dict[str, Sample], port: int) -> None:
    """Raises RuntimeError unless another server answers the same."""
    for case, sample in samples.items():
        status, headers, body = fetch(port, f"/{case}")
        shown = {name: value for name, value in headers.items() if name not in OWN}
        if (status, shown, body) != (200, sample.headers, sample.body):
            differs = set(shown.items()) ^ set(sample.headers.items())
            raise RuntimeError(f"answers {status} and differs in {differs or 'its body'}")
