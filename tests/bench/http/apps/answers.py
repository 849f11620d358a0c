"""The constant answers that BENCH_FOLDER holds, for servers that know nothing of Freshet."""

import json
import os
from pathlib import Path

FOLDER = Path(os.environ["BENCH_FOLDER"])

Answer = tuple[dict[str, str], bytes]


def _read(case: str) -> Answer:
    headers = json.loads((FOLDER / f"{case}.json").read_text())
    return headers, (FOLDER / f"{case}.body").read_bytes()


ANSWERS: dict[str, Answer] = {f"/{file.stem}": _read(file.stem) for file in FOLDER.glob("*.body")}
