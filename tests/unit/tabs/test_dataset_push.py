"""Pushing a frozen set to the hub from the page: a real upload, to a hub on this machine."""

import base64
import io
import json
from collections.abc import Iterator

import gradio as gr
import pyarrow.parquet as pq
import pytest
from curation_factory import add_accepted
from factories import add_response, add_review
from fake_hub import FakeHub, serving_hub

from adapters import hub
from db.curation_rules import CurationRules
from db.home import Home
from db.session import Database
from elara_ui.errors import InvalidInput
from elara_ui.services import Services
from elara_ui.services.snapshots import SnapshotService
from elara_ui.tabs.datasets_push import SnapshotShelf
from elara_ui.tabs.hub_push import HubHandlers, build_hub_push


@pytest.fixture
def fake_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    push = hub.push
    with serving_hub() as server:
        monkeypatch.setattr(
            hub, "push", lambda *given, **named: push(*given, **named, endpoint=server.address)
        )
        yield server


@pytest.fixture
def panel(services: Services, fake_hub: FakeHub) -> HubHandlers:
    with gr.Blocks():
        return build_hub_push(SnapshotShelf(services), gr.State(""), "dataset-push")


def freeze(services: Services, text: str = "") -> str:
    """A set of twelve rows, or one more with this text; its id."""
    with services.database.session() as session:
        add_accepted(session, 12)
        if text:
            add_review(session, add_response(session, text=text))
    return services.curation.freeze(CurationRules(), "plain", accept_identifiers=True).snapshot_id


def test_a_set_is_pushed_as_a_private_dataset_after_it_was_confirmed(
    services: Services, panel: HubHandlers, fake_hub: FakeHub, home: Home
) -> None:
    snapshot = freeze(services)
    assert panel.follow(snapshot)[panel.parts.form]["visible"] is True
    asked = panel.ask(snapshot, "clinic/answers", False)
    assert "plain@1</b> goes to <b>clinic/answers" in asked[panel.parts.question]
    assert "12 rows" in asked[panel.parts.question]
    assert fake_hub.created == []
    *_, done = panel.push(asked[panel.parts.asked])
    assert f'plain@1 is at <a href="{fake_hub.address}' in done[panel.parts.message]
    wanted = {"name": "answers", "organization": "clinic", "visibility": "private", "type": "dataset"}
    assert wanted.items() <= fake_hub.created[0].items()
    assert fake_hub.tokens == {"Bearer hf_secret"}
    files = {name: base64.b64decode(content) for name, content in fake_hub.committed.items()}
    assert set(files) == {"README.md", "manifest.json", "data/train.parquet", "data/evaluation.parquet"}
    rows = [row for part in ("train", "evaluation") for row in read(files[f"data/{part}.parquet"])]
    assert len(rows) == 12
    assert {row["messages"][-1]["content"] for row in rows} >= {"All about kidney stones."}
    assert "Rater A" not in files["manifest.json"].decode()
    assert len(json.loads(files["manifest.json"])["rows"]) == 12
    assert list(home.exports.iterdir()) == []


def read(content: bytes) -> list[dict]:
    return pq.read_table(io.BytesIO(content)).to_pylist()


def test_likely_identifiers_leave_only_when_that_was_confirmed(
    services: Services, panel: HubHandlers, fake_hub: FakeHub
) -> None:
    snapshot = freeze(services, "Write to jo@example.org.")
    refused = panel.ask(snapshot, "clinic/answers", False)
    assert "Likely identifiers are in plain@1" in refused[panel.parts.message]
    assert refused[panel.parts.asked] is None
    asked = panel.ask(snapshot, "clinic/answers", False, True)
    list(panel.push(asked[panel.parts.asked]))
    assert len(fake_hub.created) == 1


def test_a_refusal_of_the_hub_is_told_without_the_token(
    services: Services, panel: HubHandlers, fake_hub: FakeHub
) -> None:
    asked = panel.ask(freeze(services), "clinic/answers", False)
    fake_hub.refuses = True
    *_, done = panel.push(asked[panel.parts.asked])
    assert "did not take the dataset" in done[panel.parts.message]
    assert "hf_secret" not in done[panel.parts.message]
    assert done[panel.parts.ask]["interactive"] is True


def test_without_a_token_or_with_a_wrong_name_nothing_is_asked(
    services: Services, panel: HubHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = freeze(services)
    assert "is written owner/name" in panel.ask(snapshot, "answers", False)[panel.parts.message]
    monkeypatch.delenv("HF_TOKEN")
    shown = panel.follow(snapshot)
    assert (shown[panel.parts.lacking]["visible"], shown[panel.parts.form]["visible"]) == (True, False)
    assert "needs a token" in panel.ask(snapshot, "clinic/answers", False)[panel.parts.message]


def test_a_page_that_others_can_reach_pushes_no_dataset(
    services: Services, database: Database, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(InvalidInput, match="listens on this machine alone"):
        SnapshotService(database, home, is_local=False).check_push(freeze(services), "clinic/answers")
