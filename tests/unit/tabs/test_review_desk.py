"""The reviewer's desk without a browser: what each press paints and what is stored of it."""

from types import SimpleNamespace
from typing import Any

import pytest
from curation_factory import add_accepted
from factories import GOOD_AXES, add_response

from db.curation_rules import CurationRules
from elara_ui.blocks import build_page
from elara_ui.services import Services
from elara_ui.tabs.own_reviews import PAGE, OwnState
from elara_ui.tabs.parts import Updates
from elara_ui.tabs.review_handlers import ReviewState
from elara_ui.tabs.review_panels import PanelHandlers

ADA = "Dr Ada"


@pytest.fixture
def panels(services: Services, monkeypatch: pytest.MonkeyPatch) -> PanelHandlers:
    """The tab's handlers, as the page makes them."""
    made: list[PanelHandlers] = []
    original = PanelHandlers.__init__

    def remember(self: PanelHandlers, *arguments: Any) -> None:
        original(self, *arguments)
        made.append(self)

    monkeypatch.setattr(PanelHandlers, "__init__", remember)
    build_page(services)
    return made[0]


def send(services: Services, number: int = 1, **values: Any) -> list[str]:
    """Put answers in the queue; their items."""
    with services.database.session() as session:
        ids = [
            add_response(session, question=f"Question {n}?", text=f"Answer {n}.", **values).id
            for n in range(number)
        ]
    return [services.reviewing.send(response_id) for response_id in ids]


def press(act: str, item: str = "", **more: Any) -> Any:
    return SimpleNamespace(act=act, item=item, **more)


class Desk:
    """One browser tab: keeps the state that Gradio would."""

    def __init__(self, panels: PanelHandlers, reviewer: str = ADA) -> None:
        self.panels, self.reviewer, self.state = panels, reviewer, ReviewState()
        self.parts = panels.parts.desk

    def open(self, panel: str = "queue") -> Updates:
        return self._take(self.panels.choose(panel, self.reviewer, self.state))

    def press(self, act: str, **more: Any) -> Updates:
        item = more.pop("item", self.state.item_id or "")
        event = press(act, item, **more)
        return self._take(self.panels.desk.act(self.reviewer, self.state, event))

    def submit(self, disposition: str = "accept", item: str | None = None, **fields: Any) -> Updates:
        content = {**GOOD_AXES, "flags": [], "comment": "", "correction": "", **fields}
        given = {"item": item} if item else {}
        return self.press("submit", disposition=disposition, content=content, **given)

    def _take(self, painted: Updates) -> Updates:
        state = painted.get(self.parts.state)
        if isinstance(state, ReviewState):
            self.state = state
        return painted


def test_whoever_has_not_said_who_reviews_is_asked_first(panels: PanelHandlers) -> None:
    painted = Desk(panels, reviewer="").open()
    assert [painted[column]["visible"] for column in panels.parts.columns] == [False, False, True, False]
    assert painted[panels.parts.panel] == "profile"


def test_organising_needs_no_reviewer(panels: PanelHandlers) -> None:
    painted = panels.choose("organising", "", ReviewState())
    assert [painted[column]["visible"] for column in panels.parts.columns] == [False, False, False, True]


def test_saving_a_profile_keeps_the_name_and_opens_the_queue(
    panels: PanelHandlers, services: Services
) -> None:
    send(services)
    fields = ("  Dr  Ada ", "Nurse", None, "12", "Ghana", "", ["patient"], ["en"])
    painted = panels.save(*fields)
    assert painted[panels.parts.reviewer] == ADA
    assert "Answer 0." in painted[panels.parts.desk.exam]
    stored = services.reviewers.profile(ADA)
    assert (stored.profession, stored.years, stored.audiences) == ("Nurse", 12, ("patient",))


def test_a_profile_with_a_fault_says_so_and_stays(panels: PanelHandlers) -> None:
    painted = panels.save("  ", None, None, "", "", "", [], [])
    assert set(painted) == {panels.parts.profile.message}
    assert "1 to 120 characters" in painted[panels.parts.profile.message]
    painted = panels.save(ADA, None, None, "ten", "", "", [], [])
    assert "whole number; got 'ten'" in painted[panels.parts.profile.message].replace("&#x27;", "'")


def test_typing_a_known_name_fills_in_its_profile_and_a_new_one_empties_nothing(
    panels: PanelHandlers, services: Services
) -> None:
    panels.save(ADA, "Nurse", None, "", "", "", [], [])
    profile = panels.parts.profile
    assert panels.profile.recognise("dr ada".title())[profile.profession] == "Nurse"
    assert set(panels.profile.recognise("Somebody new")) == {profile.message}


def test_enter_behind_a_known_name_comes_in_without_emptying_its_profile(
    panels: PanelHandlers, services: Services
) -> None:
    empty = (None, None, "", "", "", [], [])
    panels.save(ADA, "Nurse", None, "", "", "", [], [])
    assert panels.enter("", ADA, *empty)[panels.parts.reviewer] == ADA
    assert services.reviewers.profile(ADA).profession == "Nurse"
    panels.enter(ADA, ADA, *empty)  # their own form: it says what is to be kept
    assert services.reviewers.profile(ADA).profession == ""
    assert panels.enter("", "Bo", *empty)[panels.parts.reviewer] == "Bo"
    assert "0" in panels.enter("", " ", *empty)[panels.parts.profile.message]


def test_a_judgement_is_stored_then_told_who_answered_and_the_next_one_comes(
    panels: PanelHandlers, services: Services
) -> None:
    send(services, 2)
    desk = Desk(panels)
    before = desk.open()
    assert "patient@1" not in "".join(html for html in before.values() if isinstance(html, str))
    painted = desk.submit(flags=["jargon"], comment="Fine.")
    assert "patient@1 on smollm2-135m" in painted[desk.parts.last]
    assert "Answer 1." in painted[desk.parts.exam]
    [own] = services.reviewing.mine(ADA)
    assert (own.disposition, own.comment) == ("accept", "Fine.")


def test_a_refused_judgement_stays_and_says_why(panels: PanelHandlers, services: Services) -> None:
    send(services)
    desk = Desk(panels)
    desk.open()
    painted = desk.submit(accuracy=None)
    assert set(painted) == {desk.parts.trouble}
    assert "missing: Medical accuracy" in painted[desk.parts.trouble]
    again = desk.submit(accuracy=None)
    assert again[desk.parts.trouble] != painted[desk.parts.trouble]  # so that the browser hears of it again


def test_a_draft_is_kept_with_its_correction_and_comes_back_in_another_browser(
    panels: PanelHandlers, services: Services
) -> None:
    send(services)
    desk = Desk(panels)
    desk.open()
    painted = desk.press("draft", content={"accuracy": "aligned", "correction": "Answer none."}, number=7)
    assert 'data-saved="7"' in painted[desk.parts.changes]
    assert "<ins>" in painted[desk.parts.changes]
    elsewhere = Desk(panels).open()
    assert "aligned" in elsewhere[desk.parts.rubric]
    assert "Answer none." in elsewhere[desk.parts.rubric]
    assert "<ins>" in elsewhere[desk.parts.changes]


def test_a_draft_that_arrives_after_its_judgement_changes_nothing(
    panels: PanelHandlers, services: Services
) -> None:
    first, second = send(services, 2)
    desk = Desk(panels)
    desk.open()
    assert desk.state.item_id == first
    desk.submit()
    late = desk.press("draft", item=first, content={"accuracy": "opposed"}, number=8)
    assert desk.parts.changes not in late
    assert desk.open()[desk.parts.state].item_id == second
    assert len(services.reviewing.mine(ADA)) == 1


def test_skipped_ones_come_back_when_nothing_else_is_left(panels: PanelHandlers, services: Services) -> None:
    first, second = send(services, 2)
    desk = Desk(panels)
    desk.open()
    desk.press("skip")
    assert desk.state.item_id == second
    desk.submit()
    assert desk.state.item_id == first


def test_undo_takes_the_judgement_back_and_fills_it_in(panels: PanelHandlers, services: Services) -> None:
    first, _ = send(services, 2)
    desk = Desk(panels)
    desk.open()
    desk.submit(comment="Hasty.")
    painted = desk.press("undo")
    assert desk.state.item_id == first
    assert "Hasty." in painted[desk.parts.rubric]
    assert services.reviewing.mine(ADA) == []
    assert "within 10 minutes" in desk.press("undo")[desk.parts.trouble]


def test_back_goes_through_what_was_on_the_desk_and_then_through_older_reviews(
    panels: PanelHandlers, services: Services
) -> None:
    items = send(services, 4)
    earlier = Desk(panels)
    assert "judged nothing yet" in earlier.press("back")[earlier.parts.trouble]
    earlier.open()
    earlier.submit()
    earlier.submit()
    desk = Desk(panels)  # another browser, which remembers nothing
    desk.open()
    desk.press("skip")
    assert desk.state.item_id == items[3]
    seen = [desk.press("back")[desk.parts.state].item_id for _ in range(3)]
    assert seen == [items[2], items[1], items[0]]


def test_an_earlier_judgement_is_changed_beside_its_history(
    panels: PanelHandlers, services: Services
) -> None:
    [item] = send(services)
    desk = Desk(panels)
    desk.open()
    desk.submit()
    painted = desk._take(panels.act_on_own(ADA, desk.state, OwnState(), press("open", item)))
    assert painted[panels.parts.panel] == "queue"
    assert "changes your judgement" in painted[desk.parts.exam]
    assert "Submitted just now: Accept" in painted[desk.parts.history]
    told = desk.submit("reject", accuracy="opposed")[desk.parts.last]
    assert "Changed" in told
    assert [entry.action for entry in services.reviewing.history(ADA, item)] == ["submitted", "edited"]


def test_own_reviews_tell_which_set_each_came_into(panels: PanelHandlers, services: Services) -> None:
    send(services)
    desk = Desk(panels)
    desk.open()
    desk.submit()
    own = panels.parts.own
    assert "no set yet" in panels.choose("own", ADA, desk.state)[own.list]
    with services.database.session() as session:
        add_accepted(session, 12)
    services.curation.freeze(CurationRules(), "plain")
    assert "plain@1" in panels.choose("own", ADA, desk.state)[own.list]


def test_nothing_to_do_is_explained(panels: PanelHandlers, services: Services) -> None:
    desk = Desk(panels)
    assert "Nothing waits for review" in desk.open()[desk.parts.exam]
    send(services)
    desk.press("look")
    done = desk.submit()
    assert "You have judged 1 answer" in done[desk.parts.exam]
    assert done[desk.parts.rubric] == done[desk.parts.verdicts] == ""


def test_a_reload_finds_the_item_gone_and_goes_on(panels: PanelHandlers, services: Services) -> None:
    send(services)
    desk = Desk(panels)
    desk.state = ReviewState(item_id="gone")
    assert "Answer 0." in desk.open()[desk.parts.exam]


def test_two_answers_are_compared_and_the_choice_is_kept_as_pressed(
    panels: PanelHandlers, services: Services
) -> None:
    with services.database.session() as session:
        one = add_response(session, text="One.", adapter="patient@1").id
        two = add_response(session, text="Two.", adapter=None).id
    item = services.pairs.create(one, two)
    desk = Desk(panels)
    painted = desk.open()
    assert "One." in painted[desk.parts.exam]
    assert "Two." in painted[desk.parts.exam]
    desk.press("draft", content={"choice": "tie", "reason": "Both fine."}, number=1)
    again = desk.open()
    assert "Both fine." in again[desk.parts.rubric]
    assert again[desk.parts.exam] == painted[desk.parts.exam]  # A stays A
    refused = desk.press("submit", disposition="choose", content={"choice": None, "reason": ""})
    assert "Choice is one of" in refused[desk.parts.trouble]
    first_is_a = painted[desk.parts.exam].index("One.") < painted[desk.parts.exam].index("Two.")
    told = desk.press("submit", disposition="choose", content={"choice": "a", "reason": "Safer."})
    assert f"A was made by {'patient@1' if first_is_a else 'the base model alone'}" in told[desk.parts.last]
    [own] = services.reviewing.mine(ADA)
    assert (own.item_id, own.disposition) == (item, "first" if first_is_a else "second")


def test_own_reviews_come_in_pages(panels: PanelHandlers, services: Services) -> None:
    send(services, PAGE + 1)
    desk = Desk(panels)
    desk.open()
    for _ in range(PAGE + 1):
        desk.submit()
    own = panels.parts.own
    first = panels.own.refresh(ADA, OwnState())
    assert first[own.list].count('data-act="open"') == PAGE
    older = panels.act_on_own(ADA, desk.state, OwnState(), press("older"))
    assert older[own.list].count('data-act="open"') == 1
    assert older[own.state] == OwnState(PAGE)


def test_accepted_answers_are_handed_over_as_training_rows(panels: PanelHandlers, services: Services) -> None:
    own = panels.parts.own
    assert "nothing to export" in panels.own.export(ADA)[own.message]
    send(services)
    desk = Desk(panels)
    desk.open()
    desk.submit()
    assert "Answer 0." in panels.own.export(ADA)[own.download]
    for other in ("Dr Other", ""):  # somebody is still to judge it blind
        assert "nothing to export" in panels.own.export(other)[own.message]
