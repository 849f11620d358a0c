"""A server's process: whether it answers, how much memory it holds, its end."""

import os
import subprocess
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

START_SECONDS = 60.0
STOP_SECONDS = 10.0
STEP = 0.1
TICKS = os.sysconf("SC_CLK_TCK")  # of /proc/PID/stat, a second

Answer = tuple[int, dict[str, str], bytes]


def fetch(port: int, path: str, **headers: str) -> Answer:
    """Status, headers by name in small letters, and body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        response: HTTPResponse = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return response.status, fields, response.read()
    finally:
        connection.close()


def await_answer(process: Any, port: int, path: str) -> None:
    """Wait until a path is answered with 200. Raises RuntimeError if that is not to be."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if fetch(port, path)[0] == 200:
                return
        except (OSError, HTTPException):
            pass
        time.sleep(STEP)
    raise RuntimeError(f"does not answer; its exit code is {process.poll()}")


def stop(process: Any) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def resident(pid: int) -> float:
    """Megabytes (of 1 000 000 bytes) of memory that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def cpu_seconds(pid: int) -> float:
    """CPU time that a process and those that it has started have used."""
    used: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = each.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended
            continue
        number = int(each.parent.name)
        used[number] = (int(fields[11]) + int(fields[12])) / TICKS
        children.setdefault(int(fields[1]), []).append(number)
    family = [pid]
    for member in family:  # which grows meanwhile
        family += children.get(member, [])
    return sum(used.get(member, 0.0) for member in family)


def descriptors(pid: int) -> int:
    """How many file descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
