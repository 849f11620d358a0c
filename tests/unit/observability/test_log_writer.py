"""A thread of its own writes log lines: none stops the program, none is lost without a word."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from server.observability.log_writer import CLOSE_SECONDS, MOST_WAITING, LogWriter
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

LINE = "x" * 1023 + "\n"


def read_all(descriptor: int) -> bytes:
    return b"".join(iter(lambda: os.read(descriptor, 65536), b""))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for each in (reading, writing):
        try:
            os.close(each)
        except OSError:
            continue


def described(writer: LogWriter) -> LogWriter:
    writer.describe = lambda count: f"{count} dropped\n"
    return writer


def test_lines_come_out_whole_and_in_their_order(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writer = LogWriter(writing)
    lines = [f"line {number} é\n" for number in range(5000)]
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(read_all(reading)))
    reader.start()
    for line in lines:
        writer.write(line)
    writer.close()
    os.close(writing)
    reader.join()
    assert received[0].decode() == "".join(lines)
    assert writer.dropped == 0


def test_lines_of_several_writers_of_one_pipe_stay_whole(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writers = [LogWriter(os.dup(writing)) for _ in range(3)]
    os.close(writing)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(read_all(reading)))
    for number in range(3000):
        for index, writer in enumerate(writers):
            writer.write(f"{index}:{number}:{str(index) * 200}\n")
    reader.start()
    for writer in writers:
        writer.close()
        os.close(writer._descriptor)
    reader.join()
    lines = received[0].decode().splitlines()
    assert len(lines) == 9000
    assert {line.partition(":")[0] for line in lines if len(line.split(":")[2]) == 200} == set(
        "012"
    )
    assert all(len(line.split(":")[2]) == 200 for line in lines)


def test_nobody_reads_so_lines_beyond_the_bound_are_dropped_and_told_where_they_are_missing(
    pipe: tuple[int, int],
) -> None:
    reading, writing = pipe
    writer = described(LogWriter(writing))
    count = 2 * MOST_WAITING // len(LINE)
    began = time.monotonic()
    for _ in range(count):
        writer.write(LINE)
    assert time.monotonic() - began < 5
    dropped = writer.dropped
    assert 0 < dropped < count
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(read_all(reading)))
    reader.start()
    wait_until(lambda: writer._done == writer._accepted, 10)
    writer.write("it flows again\n")
    writer.close()
    os.close(writing)
    reader.join()
    lines = received[0].decode().splitlines(keepends=True)
    assert lines.count(LINE) == count - dropped
    assert lines[-2:] == [f"{dropped} dropped\n", "it flows again\n"]
    assert writer.dropped == dropped


def test_a_reader_that_never_reads_does_not_hold_up_the_end(pipe: tuple[int, int]) -> None:
    writer = LogWriter(pipe[1])
    for _ in range(100):
        writer.write(LINE)
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < CLOSE_SECONDS + 1


def test_a_reader_that_has_gone_costs_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    writer = LogWriter(writing)
    for _ in range(3):
        writer.write(LINE)
    wait_until(lambda: writer.dropped == 3, 10)
    writer.close()


def test_what_a_full_disk_refused_is_told_when_there_is_room_again(tmp_path: Path) -> None:
    file = os.open("/dev/full", os.O_WRONLY)
    writer = described(LogWriter(file))
    writer.write("one\n")
    writer.write("two\n")
    wait_until(lambda: writer.dropped == 2, 10)
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, file)
    writer.write("three\n")
    writer.close()
    assert (tmp_path / "log").read_text() == "2 dropped\nthree\n"
    os.close(log)
    os.close(file)


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    writer = LogWriter(writing)
    for _ in range(500):
        writer.write(LINE)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(read_all(reading)))
    reader.start()
    writer.close()
    os.close(writing)
    reader.join()
    assert received[0].decode() == LINE * 500
    assert writer.dropped == 0


def test_the_last_lines_before_a_crash_are_written() -> None:
    program = """
import structlog
from server.observability import log
log.configure("json", "info")
for number in range(1000):
    structlog.get_logger().info("step", number=number)
raise RuntimeError("a crash")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert [orjson.loads(line)["number"] for line in done.stdout.splitlines()] == [*range(1000)]
    assert done.stderr.endswith("RuntimeError: a crash\n")
    assert done.returncode == 1
