"""What is counted, how each process is, and that docs/operating.md tells of all of it."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from server import __version__
from server.app.application import Application
from server.database.embedded import EmbeddedPostgres
from server.observability.count_files import FOLDER
from server.observability.http_metrics import REQUEST_SECONDS, RequestMetrics
from server.observability.instruments import Instruments
from server.observability.process_metrics import ProcessGauges
from tests.support.client import Client
from tests.support.examples import albums
from tests.support.metrics import complete, rows, samples_of
from tests.support.paths import ROOT
from tests.support.servers import LaunchFreshet, StartFreshet
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn
from tests.support.waiting import until


async def families_of(freshet: Application) -> list[Metric]:
    body = (await Client(freshet).fetch("/metrics")).body.decode()
    return list(text_string_to_metric_families(body))


def exposed(family: Metric) -> str:
    """The name that expressions use."""
    return f"{family.name}_total" if family.type == "counter" else family.name


@pytest.mark.gen_test
async def test_the_manual_tells_of_every_metric_and_of_no_other(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    found = {}
    for family in await families_of(await complete(start_standin, start_freshet)):
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        told = ", ".join(f"`{label}`" for label in sorted(labels)) or "–"
        found[exposed(family)] = (family.type, told, family.documentation)
    assert rows() == found


@pytest.mark.gen_test
async def test_names_keep_to_the_conventions_and_each_has_a_sentence(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    for family in await families_of(await complete(start_standin, start_freshet)):
        assert re.fullmatch(r"(freshet|process)_[a-z_]+", family.name)
        assert not re.search(r"_(ms|milliseconds|minutes|days_seconds|total|count)$", family.name)
        assert family.documentation.endswith("."), family.name


@given(st.lists(st.sampled_from([*REQUEST_SECONDS, 0.0, 0.003, 0.2, 7.0]), max_size=30))
def test_times_told_in_bulk_are_those_told_one_by_one(times: list[float]) -> None:
    registry, single = CollectorRegistry(), CollectorRegistry()
    requests = RequestMetrics(registry)
    name = "freshet_http_request_seconds"
    histogram = Histogram(name, "x", ["route"], buckets=REQUEST_SECONDS, registry=single)
    for number, seconds in enumerate(times):
        requests.time("/", seconds)
        histogram.labels("/").observe(seconds)
        if number % 7 == 0:
            requests.flush()
    requests.flush()
    requests.flush()
    bounds = [*map(str, REQUEST_SECONDS), "+Inf"]
    bounds = ["1.0" if each == "1" else "5.0" if each == "5" else each for each in bounds]
    for bound in bounds:
        labels = {"route": "/", "le": bound}
        told = registry.get_sample_value(f"{name}_bucket", labels)
        assert told == single.get_sample_value(f"{name}_bucket", labels)
    sums = [each.get_sample_value(f"{name}_sum", {"route": "/"}) for each in (registry, single)]
    assert sums[0] == pytest.approx(sums[1])


@pytest.mark.gen_test
async def test_a_process_tells_how_it_is(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await start_freshet(start_standin(albums(5)))
    await until(lambda: freshet.jobs.leadership.leads)
    await until(lambda: b"freshet_sync_seconds_count" in freshet.metrics.text())
    samples = await samples_of(freshet)
    assert samples["freshet_leader[1]"] == 1
    assert samples["freshet_database_up[1]"] == 1
    assert samples["freshet_database_connections_max[1]"] == 4
    assert samples["freshet_database_connections_in_use[1]"] <= 4
    assert samples["process_resident_memory_bytes[1]"] > 10_000_000
    assert samples["process_open_fds[1]"] > 3
    started = datetime.fromtimestamp(samples["process_start_time_seconds[1]"], UTC)
    assert datetime.now(UTC) - timedelta(hours=3) < started
    assert samples["process_cpu_seconds_total[1]"] > 0
    (build,) = [name for name in samples if name.startswith("freshet_build_info")]
    assert f"[{__version__}]" in build
    assert samples["freshet_releases_total[added]"] == 5
    calls = sum(samples[name] for name in samples if name.startswith("freshet_spotify_calls_total"))
    assert calls >= 2, "a token, and a page"


@pytest.mark.gen_test
async def test_a_database_that_is_gone_is_told(
    start_standin: StartStandIn, start_freshet: StartFreshet, postgres: EmbeddedPostgres
) -> None:
    freshet = await start_freshet(start_standin())
    freshet.database._replace_engine(postgres.url.set(database="not_there"))
    await freshet._catch_up()
    assert (await samples_of(freshet))["freshet_database_up[1]"] == 0


def test_cpu_seconds_only_grow() -> None:
    registry = CollectorRegistry()
    process_gauges = ProcessGauges(registry, 3)
    told = []
    for _ in range(3):
        process_gauges.refresh()
        told.append(registry.get_sample_value("process_cpu_seconds_total", {"process": "3"}))
        sum(range(1_000_000))
    assert None not in told
    assert told == sorted(told, key=lambda each: each or 0)
    assert told[-1] == pytest.approx(told[0], abs=2)


def test_how_a_dead_process_is_nobody_tells(tmp_path: Path) -> None:
    """In a process of its own, since the library decides once where it counts."""
    program = """
import sys
from pathlib import Path
from prometheus_client import generate_latest
from server.observability.count_files import CountFiles, forget
from server.observability.instruments import Instruments
folder = Path(sys.argv[1])
made = Instruments(2, CountFiles(folder, 2))
made.requests.add("/", "GET", 200, "handler")
made.requests.flush()
made.process_gauges.refresh()
assert b'process_open_fds{process="2"}' in generate_latest(made.scraped)
forget(folder, 2)
left = generate_latest(made.scraped)
assert b"process_open_fds" not in left, left
assert b'freshet_http_requests_total{by="handler"' in left, left
assert b'process_cpu_seconds_total{process="2"}' in left, left
"""
    command = [sys.executable, "-W", "error", "-c", program, str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_process_alone_needs_no_folder() -> None:
    made = Instruments()
    made.requests.add("/", "GET", 200, "handler", 3)
    assert b"freshet_http_requests_total{" not in generate_latest(made.scraped), "not told yet"
    made.requests.flush()
    assert b'route="/",status="200"} 3.0' in generate_latest(made.scraped)
    assert FOLDER not in os.environ


@pytest.mark.gen_test
async def test_how_a_process_is_can_be_told_by_others_from_its_start(
    make_settings: MakeSettings, launch_freshet: LaunchFreshet
) -> None:
    freshet = launch_freshet(make_settings(sync_interval=0))
    text = generate_latest(freshet.instruments.scraped).decode()  # as it is, without a refresh
    (started,) = re.findall(
        r'^process_start_time_seconds\{process="1"\} (\S+)$', text, re.MULTILINE
    )
    assert float(started) > 1e9
