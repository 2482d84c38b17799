"""The panel that carries a finished run over to another base model."""

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from test_training_form import make_preview

from elara_ui.errors import RunError
from elara_ui.services import Services
from elara_ui.tabs.runs import Painted
from elara_ui.tabs.transfer import TransferHandlers, build_transfer

SUCCEEDED = Painted("abc", 3, "succeeded")


@pytest.fixture
def panel(services: Services) -> TransferHandlers:
    with gr.Blocks():
        return build_transfer(services, gr.State(Painted()))


def prepared(**values: Any) -> Any:
    given = {
        "run_id": "abc", "base_model": "owner/big", "changes": ("Modules of <b>llama</b>.",),
        "preview": make_preview(),
    }  # fmt: skip
    return SimpleNamespace(**(given | values))


def test_it_is_offered_for_runs_that_succeeded_and_forgets_with_the_run(panel: TransferHandlers) -> None:
    shown = panel.follow(SUCCEEDED, "")
    assert shown[panel.parts.panel]["visible"] is True
    assert shown[panel.parts.report] == ""
    again = panel.follow(SUCCEEDED, "abc")
    assert panel.parts.report not in again
    assert panel.follow(Painted("def", 1, "running"), "abc")[panel.parts.panel]["visible"] is False


def test_what_changes_is_shown_before_it_can_be_started(
    panel: TransferHandlers, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = prepared()
    monkeypatch.setattr(services.transfer, "prepare", lambda *_, **__: transfer)
    monkeypatch.setattr(services.transfer, "launch", lambda given: given.run_id + "1")
    waiting, painted = panel.prepare(SUCCEEDED, "owner/big")
    assert waiting[panel.parts.launch]["interactive"] is False
    assert "Modules of &lt;b&gt;llama&lt;/b&gt;." in painted[panel.parts.report]
    assert "python -m elara_ui runs rerun abc --base owner/big" in painted[panel.parts.report]
    started = panel.launch(painted[panel.parts.prepared])
    assert started[panel.parts.launched] == "abc1"
    assert started[panel.parts.prepared] is None


def test_a_refusal_is_said_and_nothing_can_be_started(
    panel: TransferHandlers, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RunError("It doesn't fit.")

    monkeypatch.setattr(services.transfer, "prepare", refuse)
    *_, painted = panel.prepare(SUCCEEDED, "x")
    assert "It doesn&#x27;t fit." in painted[panel.parts.report]
    assert panel.parts.launch not in painted
    assert panel.parts.prepared in panel.launch(None)
