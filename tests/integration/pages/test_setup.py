"""`/setup`: the same five steps as README, in the demo alone."""

import re
from pathlib import Path
from typing import Any

import pytest

from server.commands import demo
from server.config.addresses import DASHBOARD
from server.config.getting_started import steps
from server.config.settings import DemoSettings
from server.standin import StandIn
from tests.support.login_browser import SetStage, read_page
from tests.support.paths import ROOT
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn


@pytest.fixture
def make_settings(make_settings: MakeSettings) -> Any:
    """Make settings of the demo if `demo` is given."""

    def make(*standin: Any, demo: bool = False, **overrides: Any) -> Any:
        made = make_settings(*standin, **overrides)
        return DemoSettings.model_construct(**dict(made)) if demo else made

    return make


@pytest.mark.gen_test
async def test_the_demo_shows_five_steps_with_its_redirect_uri(set_stage: SetStage) -> None:
    stage = await set_stage(demo=True)
    page = read_page(await stage.browser().get("/setup"))
    assert len(re.findall("<li>", page.partition('<ol class="steps">')[2])) == 5
    assert f"<code>{stage.url}/auth/callback/</code>" in page
    assert f'href="{DASHBOARD}"' in page
    assert "manage.py init" in page
    assert (await stage.browser().request("HEAD", "/setup")).code == 200


@pytest.mark.gen_test
async def test_the_real_thing_has_no_such_page(set_stage: SetStage) -> None:
    stage = await set_stage()
    assert (await stage.browser().get("/setup")).code == 404


def test_the_readme_has_the_same_steps() -> None:
    readme = Path(ROOT / "README.md").read_text(encoding="utf-8")
    _, _, section = readme.partition("## Use your own Spotify app\n")
    told = re.findall(r"^\d\. (.*?)[.:]", section.partition("\n## ")[0], re.MULTILINE)
    assert told == [step.title for step in steps("x")]
    for step in steps("http://127.0.0.1:5000/auth/callback/"):
        assert step.copy is None or step.copy.removeprefix(".venv/bin/") in section


@pytest.mark.gen_test
async def test_the_demo_is_where_the_service_may_write_and_at_the_address_of_its_network(
    start_standin: StartStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    standin: StandIn = start_standin([])
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:/elsewhere")
    monkeypatch.setenv("PUBLIC_URL", "http://raspberrypi.local:5200")
    with demo.only_one():
        chosen = demo.settings(standin, port=5200)
    assert chosen.demo
    assert str(chosen.database_url) == f"embedded:{tmp_path / 'demo' / 'postgres'}"
    assert chosen.public_url == "http://raspberrypi.local:5200"
    assert standin.world.redirect_uris == ("http://127.0.0.1:5200/auth/callback/",)
    monkeypatch.setenv("PUBLIC_URL", "https://music.example.org")  # that of the real thing
    assert demo.settings(standin, port=5200).public_url == "http://127.0.0.1:5200"
    assert sorted(each.name for each in (tmp_path / "demo").iterdir()) == ["lock", "secret"]
    for file in (tmp_path / "demo").iterdir():
        assert file.stat().st_mode & 0o077 == 0
