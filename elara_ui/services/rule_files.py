"""Curation rules as people write them: from a form or a YAML or JSON file, checked; and back."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from db.curation_rules import CurationRules
from db.vocabulary import RUBRIC, Disposition, ReviewFlag
from elara_ui.errors import InvalidInput

_RULES = TypeAdapter(CurationRules)
_LETTING_IN = (Disposition.ACCEPT, Disposition.ACCEPT_WITH_EDIT)
MOST_ACCEPTING = 100


def read_rules(path: Path) -> CurationRules:
    """The rules in a file.

    Args:
        path: YAML or JSON, with the names of `CurationRules`.

    Raises:
        InvalidInput: it can't be read, or breaks a rule of rules.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidInput(f"The rules in {path} can't be read: {reason}. Write YAML or JSON.") from error
    if content is not None and not isinstance(content, Mapping):
        raise InvalidInput(
            f"Rules are names with values, such as objective: sft, but {path.name} holds something else."
        )
    return parse_rules(content or {})


def parse_rules(values: Mapping[str, Any]) -> CurationRules:
    """Rules from plain values.

    Args:
        values: by the names of `CurationRules`; what is missing has no limit.

    Raises:
        InvalidInput: an unknown name, or a value that its name doesn't take.
    """
    known = [item.name for item in fields(CurationRules)]
    unknown = [name for name in map(str, values) if name not in known]
    if unknown:
        raise InvalidInput(f"There is no rule {unknown[0][:60]!r}. Rules are: {', '.join(known)}.")
    try:
        rules = _RULES.validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise InvalidInput(
            f"The rule {name} doesn't take {str(first['input'])[:80]!r}: {first['msg']}."
        ) from error
    _check(rules)
    return rules


def dump_rules(rules: CurationRules) -> dict[str, Any]:
    """The rules as JSON values, only those that limit something."""
    plain: dict[str, Any] = _RULES.dump_python(rules, mode="json")
    usual = _RULES.dump_python(CurationRules(), mode="json")
    return {name: value for name, value in plain.items() if name == "objective" or value != usual[name]}


def _check(rules: CurationRules) -> None:
    for scale in RUBRIC:
        _known(f"axes.{scale.axis}", rules.axes.get(scale.axis, ()), scale.values)
    _known("axes", rules.axes, [scale.axis for scale in RUBRIC])
    _known("dispositions", rules.dispositions, _LETTING_IN)
    _known("without_flags", rules.without_flags, tuple(ReviewFlag))
    if not rules.dispositions:
        raise InvalidInput(f"At least one verdict lets answers in. Give one of {', '.join(_LETTING_IN)}.")
    for name, value, low, high in (
        ("min_accepting", rules.min_accepting, 1, MOST_ACCEPTING),
        ("max_rejecting", rules.max_rejecting, 0, MOST_ACCEPTING),
        ("eval_fraction", rules.eval_fraction, 0, 0.5),
    ):
        if not low <= value <= high:
            raise InvalidInput(f"The rule {name} is {low} to {high}, but it is {value}. Choose one of these.")
    if rules.since and rules.until and rules.since > rules.until:
        raise InvalidInput(f"since ({rules.since}) comes after until ({rules.until}). Exchange them.")
    both = sorted(set(rules.include) & set(rules.exclude))
    if both:
        raise InvalidInput(f"{both[0]} is both included and excluded. Take it off one of the lists.")
    for response_id, reason in {**rules.include, **rules.exclude}.items():
        if not reason.strip():
            raise InvalidInput(f"Whoever picks {response_id} by hand says why; its reason is empty.")


def _known(name: str, values: Collection[str], allowed: Collection[str]) -> None:
    for value in values:
        if value not in allowed:
            raise InvalidInput(
                f"The rule {name} takes {', '.join(allowed)}, but not {value!r}. Choose one of these."
            )
