"""Full load by wrk: 32 connections that each ask on as soon as they are answered."""

import re
from dataclasses import dataclass

from tests.bench.http import tools
from tests.bench.http.cores import Cores

CONNECTIONS = 32
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
QUANTILE = re.compile(r"^\s+(50|75|90|99)%\s+([\d.]+)(us|ms|s|m)\s*$", re.MULTILINE)
SOCKETS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
COUNT = re.compile(r"(\d+) requests in ")
REFUSED = re.compile(r"Non-2xx or 3xx responses: (\d+)")


@dataclass(frozen=True)
class Load:
    """Answers a second, milliseconds at two quantiles, requests that failed, and all answers."""

    rate: float
    p50: float
    p99: float
    errors: int
    count: int


def load(cores: Cores, port: int, path: str, seconds: int, headers: dict[str, str]) -> Load:
    """Ask a server for so long, from the load's core."""
    command = [tools.program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    command += [f"http://127.0.0.1:{port}{path}"]
    return read(cores.run(command, cores.load, seconds=seconds + 60))


def read(text: str) -> Load:
    """What wrk prints."""
    rate = RATE.search(text)
    quantiles = {name: float(value) * UNITS[unit] for name, value, unit in QUANTILE.findall(text)}
    sockets, refused = SOCKETS.search(text), REFUSED.search(text)
    errors = sum(map(int, sockets.groups())) if sockets else 0
    errors += int(refused[1]) if refused else 0
    count = COUNT.search(text)
    if rate is None or count is None:
        raise ValueError(f"wrk said {text}")
    median, slow = quantiles.get("50", 0), quantiles.get("99", 0)
    return Load(float(rate[1]), median, slow, errors, int(count[1]))
