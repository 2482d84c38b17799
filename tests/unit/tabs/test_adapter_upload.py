"""The panel in which adapters are brought in, and how uploaded ones stand in the list."""

import time
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from adapter_factory import make_base_folder, make_tiny_peft
from fake_engine import FakeEngine
from hostile_zips import zip_folder

from elara_ui.errors import InvalidInput
from elara_ui.services import Services
from elara_ui.services.adapter_intake import AdapterIntake
from elara_ui.tabs.adapter_upload import UploadHandlers, build_adapter_upload
from elara_ui.tabs.adapters import AdapterHandlers, build_adapters
from elara_ui.tabs.parts import Updates


@pytest.fixture
def base(services: Services, engine: FakeEngine, tmp_path: Path) -> str:
    """The base model that answers."""
    engine.base_model = str(make_base_folder(tmp_path / "base"))
    services.models.add(engine.base_model)
    services.serving.engine()
    return engine.base_model


@pytest.fixture
def panel(services: Services) -> UploadHandlers:
    with gr.Blocks():
        return build_adapter_upload(services)


def wait(services: Services, name: str) -> None:
    for _ in range(500):
        if not services.probes.state(name).is_under_way:
            return
        time.sleep(0.01)


def press(listed: AdapterHandlers, act: str) -> Updates:
    (last,) = listed.act("A reviewer", "", 0, "", SimpleNamespace(act=act, item="patient@1"))
    return last


def test_a_zip_is_taken_in_tried_and_shown_beside_the_base_model(
    services: Services, engine: FakeEngine, base: str, panel: UploadHandlers, tmp_path: Path
) -> None:
    engine.reply = "This <b>is</b> what {adapter} has to say about that."
    file = zip_folder(make_tiny_peft(tmp_path / "peft"), tmp_path / "clinic <i>.zip")
    parts = panel.parts
    choices = panel.refresh("")[parts.base]["choices"]
    assert base in [value for _, value in choices]
    going, done = panel.take_in([str(file)], "", "patient", base, "Dr A")
    assert going[parts.send]["interactive"] is False
    assert "patient@1 is a candidate" in done[parts.result]
    assert "clinic &lt;i&gt;.zip" in done[parts.result]
    assert (done[parts.send]["interactive"], done[parts.taken]) == (True, "patient@1")
    wait(services, "patient@1")
    shown = panel.follow("patient@1")
    assert "Passed" in shown[parts.probe]
    assert "patient@1 has to say" in shown[parts.probe]
    assert "This &lt;b&gt;is&lt;/b&gt;" in shown[parts.probe]
    assert shown[parts.clock].active is False

    with gr.Blocks():
        listed = build_adapters(services)
    opened = press(listed, "details")
    assert "Brought by" in opened[listed.parts.details]
    assert "With the adapter" in opened[listed.parts.details]
    assert 'data-act="promote"' in opened[listed.parts.list]


def test_what_is_refused_says_why_and_leaves_the_form(
    services: Services, base: str, panel: UploadHandlers, tmp_path: Path
) -> None:
    parts = panel.parts
    _, done = panel.take_in(None, str(make_tiny_peft(tmp_path / "peft", use_dora=True)), "patient", base, "")
    assert "DoRA" in done[parts.result]
    assert parts.folder not in done
    _, done = panel.take_in(None, "  ", "patient", "", "")
    assert "no adapter yet" in done[parts.result]
    assert services.adapters.versions() == ()


def test_one_for_another_base_waits_in_the_list_for_its_probe(
    services: Services, engine: FakeEngine, base: str, panel: UploadHandlers, tmp_path: Path
) -> None:
    engine.base_model = "smollm2-135m"
    _, done = panel.take_in(None, str(make_tiny_peft(tmp_path / "peft")), "patient", base, "")
    assert "its own base model" in done[panel.parts.probe]
    assert done[panel.parts.again]["visible"] is True
    with gr.Blocks():
        listed = build_adapters(services)
    painted = listed.refresh("")[listed.parts.list]
    assert 'data-act="probe"' in painted
    assert 'data-act="promote"' not in painted
    refused = press(listed, "promote")
    assert "only fits its own base" in refused[listed.parts.message]


def test_a_page_that_others_can_reach_takes_nothing_in(services: Services) -> None:
    intake = AdapterIntake(
        services.database, services.settings.folders, ("patient",), tuple, lambda base: None, 1, False
    )
    with pytest.raises(InvalidInput, match="adapters add"):
        intake.check_open()
