"""What the bench takes for a fault: `make bench-short` of CI relies on it."""

from typing import Any

import pytest

from tests.bench.http import wrk
from tests.bench.http.__main__ import Report, end
from tests.bench.http.latency import Latencies
from tests.bench.http.peak import Peaks, Row
from tests.bench.http.sample import Sample

SAID = """Running 1s test @ http://127.0.0.1:5000/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   373.65us  501.53us   8.42ms   91.07%
    Req/Sec   105.32k    13.96k  120.90k    80.00%
  Latency Distribution
     50%  215.00us
     75%  330.00us
     90%  0.91ms
     99%    2.43ms
  104826 requests in 1.00s, 2.29GB read
{errors}Requests/sec: 104793.35
Transfer/sec:      2.29GB
"""
FAILED = "  Socket errors: connect 1, read 2, write 0, timeout 4\n  Non-2xx or 3xx responses: 30\n"


def load(errors: str = "") -> wrk.Load:
    return wrk.read(SAID.format(errors=errors))


def peaks(name: str, given: wrk.Load, **fields: Any) -> Peaks:
    row = Row(name, "", 0, None, is_ours=True, loads={"plain": [given]})
    return Peaks([row], {"plain": Sample({}, b"")}, [], **fields)


def test_what_wrk_prints_is_read_with_its_errors() -> None:
    assert load() == wrk.Load(104793.35, 0.215, 2.43, errors=0, count=104826)
    assert load(FAILED).errors == 37
    with pytest.raises(ValueError, match="wrk said"):
        wrk.read("unable to connect to 127.0.0.1:1 Connection refused")


def test_requests_that_fail_and_servers_that_do_not_answer_are_faults() -> None:
    assert peaks("Freshet", load()).faults == []
    assert peaks("Freshet", load(FAILED)).faults == ["Freshet: 37 requests failed"]
    silent = wrk.Load(0.0, 0.0, 0.0, errors=0, count=0)
    assert peaks("nginx", silent).faults == ["nginx answers nothing"]
    assert peaks("Freshet", load(), broken=["aiohttp: differs"]).faults == ["aiohttp: differs"]


def test_latency_beside_syncs_of_which_one_fails_or_there_is_none_is_a_fault() -> None:
    assert Latencies(1.0, 1.0, empty_syncs=1).faults == []
    assert Latencies(1.0, 1.0, syncs=3, failed_syncs=2).faults == ["2 syncs failed"]
    assert len(Latencies(1.0, 1.0).faults) == 1


def test_what_is_missing_is_a_fault_in_ci_and_said_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Report([])
    made.leave_out("HTTP is", "wrk is not installed")
    assert made.text == "HTTP is left out: wrk is not installed.\n"
    monkeypatch.delenv("CI", raising=False)
    end(made)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(SystemExit, match="Failed: HTTP is left out: wrk is not installed"):
        end(made)
    monkeypatch.delenv("CI")
    with pytest.raises(SystemExit, match=r"Failed: 2 syncs failed\."):
        end(Report([], faults=["2 syncs failed"]))
