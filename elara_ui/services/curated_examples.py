"""Examples to learn from, made of judged answers, and what a set says of where they came from."""

from collections import Counter
from dataclasses import replace
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from adapters.engines.base import Turn
from adapters.training.examples import Example
from adapters.training.preparation import Prepared
from db import reviewers as reviewer_store
from db.curation_rules import CurationRules
from db.models import Reviewer
from db.training_rows import Candidate, select_rows
from db.vocabulary import RUBRIC_VERSION, Role
from elara_ui.services.rule_files import dump_rules


def pseudonym(reviewer_id: str) -> str:
    """What a reviewer is called in what leaves the database: always the same, and not to be turned back."""
    return "rater-" + sha256(f"elara rater {reviewer_id}".encode()).hexdigest()[:12]


def describe_selection(prepared: Prepared, rules: CurationRules) -> dict[str, Any]:
    """What the manifest says of a curated set: its rules, and who and what is in it."""
    origins = [example.origin for example in (*prepared.train, *prepared.evaluation)]
    count = {
        name: dict(Counter(origin[name] for origin in origins if name in origin).most_common())
        for name in ("audience", "base_model", "adapter", "why")
    }
    raters = Counter(
        rater
        for origin in origins
        for rater in {origin.get("rater", ""), *origin.get("further_raters", "").split()} - {""}
    )
    return {
        "rules": dump_rules(rules),
        "rubric_version": RUBRIC_VERSION,
        "audiences": count["audience"],
        "base_models": count["base_model"],
        "adapters": count["adapter"],
        "raters": dict(raters.most_common()),
        "kinds": count["why"],
    }


def read_examples(session: Session, rules: CurationRules) -> list[Example]:
    """The rows that the rules select now, numbered from 1."""
    return [_to_example(found, number, rules) for number, found in enumerate(select_rows(session, rules), 1)]


def _to_example(found: Candidate, number: int, rules: CurationRules) -> Example:
    origin = {
        "audience": found.audience,
        "response_id": found.response_id,
        "other_response_id": found.other_response_id,
        "review_id": found.review_id,
        "further_reviews": " ".join(judgement for judgement, _ in found.further),
        "rater": pseudonym(found.reviewer_id) if found.reviewer_id else "",
        "further_raters": " ".join(pseudonym(person) for _, person in found.further),
        "base_model": found.base_model,
        "adapter": found.adapter or "",
        "other_adapter": found.other_adapter or "",
        "why": found.kind,
        "included": rules.include.get(found.response_id, ""),
    }
    turns = tuple(Turn(Role(turn["role"]), turn["content"]) for turn in found.messages)
    return Example(
        (*turns, Turn(Role.ASSISTANT, found.answer)),
        {name: value for name, value in origin.items() if value},
        number,
        rejected=found.rejected,
        label=found.label,
    )


def name_by_id(session: Session, rules: CurationRules) -> CurationRules:
    """The rules with reviewers by id: manifests travel, and names don't."""
    people: list[Reviewer] = reviewer_store.everyone(session)
    ids = {person.name: person.id for person in people} | {person.id: person.id for person in people}
    return replace(
        rules,
        reviewers=tuple(ids.get(name, name) for name in rules.reviewers),
        without_reviewers=tuple(ids.get(name, name) for name in rules.without_reviewers),
    )
