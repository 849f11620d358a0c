"""deploy/prometheus and deploy/grafana: sound, tried, and about metrics that there are."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.support.metrics import complete, rows
from tests.support.paths import ROOT
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn

DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD: dict[str, Any] = orjson.loads((DEPLOY / "grafana" / "freshet.json").read_bytes())
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
SCRAPED = {"job", "instance"}  # labels that Prometheus itself adds
NOT_OURS = {"up"}
METRIC = re.compile(r"\b((?:freshet|process)_\w+|up)\b(?!\s*\()(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")

Promtool = Callable[..., None]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    for rule in RULES:
        yield rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def known() -> dict[str, set[str]]:
    """The labels of each name that an expression may use."""
    labels = {}
    for name, (kind, told, _) in rows().items():
        own = set(re.findall(r"`(\w+)`", told)) | SCRAPED
        labels[name] = own
        if kind == "histogram":
            del labels[name]
            labels |= {f"{name}_bucket": own | {"le"}, f"{name}_sum": own, f"{name}_count": own}
    return labels | dict.fromkeys(NOT_OURS, SCRAPED)


@pytest.fixture
def promtool() -> Promtool:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("there is no promtool")

    def run(*arguments: str, told: str = "") -> None:
        done = subprocess.run(
            [program, *arguments],
            input=told,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_metric_of_an_expression_exists_and_has_the_labels_asked_for(
    expression: str,
) -> None:
    labels = known()
    found = METRIC.findall(expression)
    assert found
    together: set[str] = set()
    for name, matchers in found:
        assert name in labels, f"{name} is not in /metrics"
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert asked <= labels[name], f"{name} has no label {asked - labels[name]}"
        together |= labels[name]
    for group in GROUPED.findall(expression):
        assert {each.strip() for each in group.split(",")} <= together


def test_prometheus_understands_rules_and_scrapes(promtool: Promtool) -> None:
    promtool("check", "rules", str(ALERTS))
    promtool("check", "config", str(ALERTS.with_name("prometheus.yml")))


def test_prometheus_understands_the_key_of_the_metrics(promtool: Promtool, tmp_path: Path) -> None:
    key = tmp_path / "freshet.key"
    key.write_text("a-key-of-the-metrics")
    lines = ALERTS.with_name("prometheus.yml").read_text(encoding="utf-8")
    lines = re.sub(r"# (authorization:|  credentials_file:)", r"\1", lines)
    config = yaml.safe_load(lines)
    (job,) = config["scrape_configs"]
    assert job["authorization"] == {"credentials_file": "/etc/prometheus/freshet.key"}
    job["authorization"]["credentials_file"] = str(key)
    config["rule_files"] = [str(ALERTS)]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    promtool("check", "config", str(file))


@pytest.mark.slow
def test_alerts_come_when_they_should_and_not_otherwise(promtool: Promtool) -> None:
    promtool("test", "rules", str(ROOT / "tests" / "support" / "alerts.yml"))


def test_every_alert_is_tried_and_says_what_is_wrong() -> None:
    tried = yaml.safe_load((ROOT / "tests" / "support" / "alerts.yml").read_text())["tests"]
    names = {each["alertname"] for test in tried for each in test.get("alert_rule_test", ())}
    assert names == {rule["alert"] for rule in RULES}
    for rule in RULES:
        assert rule["annotations"]["summary"].endswith(".") or "?" in rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_the_manual_says_what_to_do_about_each_alert() -> None:
    manual = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    for rule in RULES:
        assert f"`{rule['alert']}`" in manual


def test_prometheus_understands_the_dashboard(promtool: Promtool, tmp_path: Path) -> None:
    usual = {"$__rate_interval": "5m", "$job": "freshet", "$instance": ".*"}
    rules = []
    for panel in panels():
        for number, target in enumerate(panel["targets"]):
            expression = target["expr"]
            for variable, value in usual.items():
                expression = expression.replace(variable, value)
            assert "$" not in expression
            rules.append({"record": f"panel_{panel['id']}_{number}", "expr": expression})
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_the_dashboard_names_no_data_source_and_its_panels_fit() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", DASHBOARD["uid"])
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert "id" not in DASHBOARD, "which is another one on each Grafana"
    places: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not places & cells, panel["title"]
        assert max(x for x, _ in cells) < 24
        places |= cells
    for panel in panels():
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}
        assert panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))


def test_every_metric_is_shown() -> None:
    shown = {
        name
        for panel in panels()
        for t in panel["targets"]
        for name, _ in METRIC.findall(t["expr"])
    }
    shown = {re.sub(r"(?<=seconds)_(bucket|sum|count)$", "", name) for name in shown}
    said_otherwise = "freshet_consent_expires_timestamp_seconds"  # the days are shown
    assert set(rows()) - shown <= {"process_virtual_memory_bytes", said_otherwise}


def test_ci_installs_what_these_tests_need() -> None:
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "needed+=(prometheus)" in run
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.gen_test
async def test_prometheus_has_nothing_against_our_names(
    promtool: Promtool, start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    freshet = await complete(start_standin, start_freshet)
    lines = freshet.metrics.text().decode().splitlines(keepends=True)
    days = "freshet_days_to_reconsent"  # whole days are what Spotify's consent is counted in
    promtool("check", "metrics", told="".join(line for line in lines if days not in line))
