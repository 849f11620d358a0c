"""The description is believed: whatever it allows is answered, whatever it forbids is refused.

Schemathesis makes up the requests; its long form is for `make soak`.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL

from tests.end_to_end.conftest import Server, environment, standin_settings

CHECKED = """
[checks]
negative_data_rejection.expected-statuses = [400, 404, 405, 414]
"""


def test_whatever_schemathesis_asks_the_answers_are_as_described(
    run: Callable[..., Server], database_url: URL, spotify: str, tmp_path: Path
) -> None:
    server = run(env=environment(database_url, **standin_settings(spotify)))
    server.event("sync_finished")
    (tmp_path / "schemathesis.toml").write_text(CHECKED)
    examples = 500 if os.environ.get("FRESHET_SOAK") else 10
    command = [
        str(Path(sys.executable).with_name("st")),
        f"--config-file={tmp_path / 'schemathesis.toml'}",
        "run",
        f"http://127.0.0.1:{server.port}/api/openapi.json",
        "--phases=coverage,fuzzing",
        f"--max-examples={examples}",
        "--checks=all",
        "--exclude-path=/api/events",  # it never ends
        "--suppress-health-check=all",
        "--generation-database=none",
        "--seed=1",
        "--no-color",
    ]
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=1200, check=False
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    assert not [line for line in server.lines() if line["event"] == "request_crashed"]
