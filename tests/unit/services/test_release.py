"""Releasing: one way to become live, going back, and a history that says who and why."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from adapter_factory import register_adapter
from fake_engine import FakeEngine

from adapters import registry
from adapters.catalog import EMBEDDED
from adapters.engines.base import Turn
from adapters.hyperparameters import override
from adapters.presets import settings_for
from adapters.training import supervisor
from adapters.training.examples import Example
from db import adapters as adapter_store
from db import releases
from db import runs as run_store
from db.home import Home
from db.vocabulary import AdapterStatus, ReleaseAction, Role, RunStatus
from elara_ui.cli.parts import parse_settings
from elara_ui.errors import AdapterError, Conflict, InvalidInput, NotFound, ReleaseRefused
from elara_ui.services import Services, build_services
from elara_ui.services.answers import Finished
from elara_ui.services.canary import takes_part
from elara_ui.services.training_data import parse_data, read_data
from elara_ui.settings import Settings

WHY = "tried by hand"


@pytest.fixture
def add(services: Services, home: Home, small_lora: Path) -> Callable[..., str]:
    """Registers one more candidate."""
    return lambda **values: register_adapter(services.database, home, small_lora, **values)


def ask(services: Services, conversation_id: str | None = None) -> tuple[str | None, str]:
    """What answers, and in which conversation."""
    question = services.chat.check("patient", "What is asthma?")
    first, *_, last = services.chat.ask(question, conversation_id)
    assert isinstance(last, Finished)
    return last.answer.adapter, str(first.conversation_id)  # type: ignore[union-attr]


def live(services: Services) -> str | None:
    return services.adapters.live().get("patient")


def test_nobody_is_made_live_without_a_name_and_a_reason_for_what_is_not_met(
    services: Services, add: Callable[..., str]
) -> None:
    name = add(metrics={})
    with pytest.raises(InvalidInput, match="says who they are"):
        services.release.promote(name, "  ", WHY)
    with pytest.raises(ReleaseRefused, match="say why") as refused:
        services.release.promote(name, "Ada")
    assert "The suite wasn't run on both." in refused.value.message
    assert live(services) is None
    assert services.release.promote(name, " Some  One ", WHY).status is AdapterStatus.LIVE
    [entry] = services.release.history("patient")
    assert (entry.action, entry.before, entry.after) == (ReleaseAction.PROMOTED, None, name)
    assert (entry.by, entry.reason) == ("Some One", WHY)
    assert {check["name"]: check["state"] for check in entry.figures["checks"]} == {
        "safety": "not_measured",
        "loss": "not_measured",
        "readability": "not_measured",
    }
    with pytest.raises(Conflict, match="already"):
        services.release.promote(name, "Ada", WHY)


def test_a_strict_home_takes_no_reason(home: Home, small_lora: Path) -> None:
    strict = Settings.read(home=home.root, strict_release=True)
    services = build_services(strict, engine_factory=lambda report: FakeEngine())
    name = register_adapter(services.database, home, small_lora)
    with pytest.raises(ReleaseRefused, match="ELARA_STRICT_RELEASE"):
        services.release.promote(name, "Ada", WHY)
    services.close()


def test_going_back_goes_back_step_by_step_to_the_base_model(
    services: Services, add: Callable[..., str]
) -> None:
    for _ in range(3):
        services.release.promote(add(), "Ada", WHY)
    steps = []
    while live(services):
        back_to = services.release.standing("patient").back_to
        services.release.roll_back("patient", "Ben")
        assert live(services) == back_to
        steps.append(back_to)
    assert steps == ["patient@2", "patient@1", None]
    with pytest.raises(InvalidInput, match="nothing to go back from"):
        services.release.roll_back("patient", "Ben")
    actions = [entry.action for entry in services.release.history("patient")]
    assert actions == [ReleaseAction.ROLLED_BACK] * 3 + [ReleaseAction.PROMOTED] * 3


def test_going_back_and_forth_keeps_the_order(services: Services, add: Callable[..., str]) -> None:
    for _ in range(2):
        services.release.promote(add(), "Ada", WHY)
    services.release.roll_back("patient", "Ben")
    services.release.promote("patient@2", "Ben")  # it was live before: no gate
    newest = services.release.history("patient")[0]
    assert (newest.action, newest.before, newest.after) == (
        ReleaseAction.ROLLED_BACK,
        "patient@1",
        "patient@2",
    )
    services.release.promote(add(), "Ada", WHY)
    services.release.roll_back("patient", "Ben", to="patient@1")
    assert live(services) == "patient@1"
    services.release.roll_back("patient", "Ben", "the base is safer", to="base")
    assert live(services) is None
    with pytest.raises(InvalidInput, match="never was"):
        services.release.promote(add(), "Ada", WHY)
        services.release.roll_back("patient", "Ben", to=add())


def test_versions_from_before_there_was_a_history_are_gone_back_to(
    services: Services, add: Callable[..., str]
) -> None:
    names = [add() for _ in range(3)]
    with services.database.session() as session:
        for name in names[:2]:
            adapter_store.promote(session, name)
    services.release.promote(names[2], "Ada", WHY)
    services.release.roll_back("patient", "Ben")
    services.release.roll_back("patient", "Ben")
    assert live(services) == names[0]


def test_damaged_files_leave_what_is_live(services: Services, add: Callable[..., str], home: Home) -> None:
    services.release.promote(add(), "Ada", WHY)
    (home.adapters / "patient" / "2").mkdir()  # the number is passed over
    broken = add()
    (home.adapters / "patient" / "3" / "adapter.gguf").write_bytes(b"other")
    with pytest.raises(AdapterError, match="changed after training"):
        services.release.promote(broken, "Ada", WHY)
    assert live(services) == "patient@1"
    assert len(services.release.history("patient")) == 1


def test_another_base_models_version_is_not_made_live(services: Services, add: Callable[..., str]) -> None:
    name = add(base_model="mistralai/Mistral-7B-Instruct-v0.3")
    for attempt in (services.release.promote, services.trials.start):
        with pytest.raises(AdapterError, match="only fits its own base model"):
            attempt(name, "Ada", why=WHY)
    with pytest.raises(NotFound):
        services.release.promote("patient@9", "Ada", WHY)


def test_a_candidate_put_aside_can_still_go_live_through_the_gate(
    services: Services, add: Callable[..., str]
) -> None:
    name = add()
    assert services.release.retire(name, "Ada", "worse tone").status is AdapterStatus.RETIRED
    with pytest.raises(ReleaseRefused):
        services.release.promote(name, "Ada")
    services.release.promote(name, "Ada", WHY)
    with pytest.raises(InvalidInput, match="Roll back"):
        services.release.retire(name, "Ada")


def test_a_hash_gives_a_conversation_the_same_voice_each_time_and_the_share_its_size() -> None:
    ids = [f"{number:012x}" for number in range(4000)]
    tried = [each for each in ids if takes_part(each, "patient@2", 0.1)]
    assert tried == [each for each in ids if takes_part(each, "patient@2", 0.1)]
    assert 320 < len(tried) < 480  # within four standard deviations of 400
    assert set(tried) <= {each for each in ids if takes_part(each, "patient@2", 0.3)}
    assert set(tried) != {each for each in ids if takes_part(each, "patient@3", 0.1)}


def test_a_trial_answers_its_share_of_new_conversations_and_each_keeps_its_voice(
    services: Services, add: Callable[..., str]
) -> None:
    services.release.promote(add(), "Ada", WHY)
    _, old = ask(services)
    candidate = add()
    services.trials.start(candidate, "Ada", 0.5, WHY)
    voices: dict[str, str | None] = {}
    while set(voices.values()) != {"patient@1", candidate}:
        voice, conversation = ask(services)
        voices[conversation] = voice
    for conversation, voice in voices.items():
        assert voice == (candidate if takes_part(conversation, candidate, 0.5) else "patient@1")
        assert ask(services, conversation)[0] == voice
        assert services.adapters.answering("patient", conversation).adapter == voice
    assert ask(services, old)[0] == "patient@1"  # begun before the trial
    question = services.chat.check("patient", "What is asthma?")
    assert [*services.chat.ask_once(question)][-1].answer.adapter == "patient@1"  # type: ignore[union-attr]
    ours, theirs = services.trials.figures("patient")
    assert ours.conversations == sum(voice == candidate for voice in voices.values())
    assert (ours.answers, theirs.answers) == (2 * ours.conversations, 2 * theirs.conversations)


def test_stopping_a_trial_keeps_its_figures_and_promoting_ends_it(
    services: Services, add: Callable[..., str]
) -> None:
    first, second = add(), add()
    with pytest.raises(ReleaseRefused, match="say why"):
        services.trials.start(first, "Ada")
    services.trials.start(first, "Ada", 0.2, WHY)
    services.trials.start(second, "Ada", 0.5, WHY)  # in place of the first
    stopped = services.release.history("patient")[1]
    assert (stopped.action, stopped.after) == (ReleaseAction.CANARY_STOPPED, first)
    assert [each["adapter"] for each in stopped.figures["canary"]] == [first, None]
    services.release.promote(second, "Ada", WHY)
    assert services.release.standing("patient").trial is None
    assert services.release.history("patient")[0].figures["canary"]
    with pytest.raises(InvalidInput, match="nothing to stop"):
        services.trials.stop("patient", "Ada")
    for share in (0, 0.6):
        with pytest.raises(InvalidInput, match="at most half"):
            services.trials.start(first, "Ada", share, WHY)


def test_a_candidate_that_cannot_be_served_costs_nobody_an_answer(
    services: Services, add: Callable[..., str], engine: FakeEngine
) -> None:
    candidate = add()
    services.trials.start(candidate, "Ada", 0.5, WHY)
    engine.refuses = {candidate}
    conversation = ""
    while not takes_part(conversation, candidate, 0.5):
        voice, conversation = ask(services)
        assert voice is None


def test_a_release_is_never_changed_by_what_comes_later(services: Services, add: Callable[..., str]) -> None:
    name = add()
    services.release.promote(name, "Ada", WHY)
    before = services.release.history("patient")
    services.release.roll_back("patient", "Ben")
    assert services.release.history("patient")[1:] == before
    with services.database.reading() as session:
        assert adapter_store.get(session, name).status == AdapterStatus.RETIRED
        assert len(releases.history(session)) == 2


def test_a_retired_version_can_be_made_anew_from_what_is_kept(
    services: Services, home: Home, add: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = override(settings_for(services.recipes["patient"], EMBEDDED), {"lora_r": 4, "seed": 7})
    examples = [
        Example((Turn(Role.USER, f"Question {number}?"), Turn(Role.ASSISTANT, f"Answer {number}.")))
        for number in range(4)
    ]
    monkeypatch.setattr(supervisor, "_spawn", lambda *given: subprocess.Popen([sys.executable, "-c", ""]))
    run_id = supervisor.launch(
        services.database,
        home,
        audience="patient",
        base_model=EMBEDDED,
        hyperparameters=settings,
        examples=examples,
        source="starter",
    )
    with services.database.session() as session:
        snapshot = run_store.get(session, run_id).snapshot
        run_store.finish(session, run_id, RunStatus.SUCCEEDED, adapter="patient@1")
    name = add(run_id=run_id, snapshot_sha256=snapshot.sha256)
    services.release.promote(name, "Ada", WHY)
    services.release.roll_back("patient", "Ben")

    words = shlex.split(services.release.history("patient")[1].again)
    data = parse_data(words[words.index("--dataset") + 1])
    kept = read_data(services.database, home, "patient", data).examples
    assert [each.question for each in kept] == [each.question for each in examples]
    changed = parse_settings([after for word, after in pairwise(words) if word == "--set"])
    assert override(settings_for(services.recipes["patient"], EMBEDDED), changed) == settings
    with services.database.reading() as session:
        folder = registry.folder(home, adapter_store.get(session, name))
    assert registry.verify(folder).provenance.snapshot_sha256 == snapshot.sha256
    with pytest.raises(Conflict):
        services.runs.remove(run_id)
