"""The datasets tab: its components, and the rules that a person has filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from db.curation_rules import CurationRules
from db.training_rows import Cursor
from db.vocabulary import RUBRIC
from elara_ui.services.rule_files import parse_rules

LISTS = ("audiences", "adapters", "base_models", "batches", "dispositions", "without_flags", "reviewers",
         "without_reviewers")  # fmt: skip
"""Rules that take several values, in the order of `RuleParts.lists`."""
SINGLES = ("objective", "min_accepting", "max_rejecting", "verified_only", "thumbs", "since", "until",
           "eval_fraction")  # fmt: skip
"""Rules that take one, in the order of `RuleParts.singles`."""


@dataclass(frozen=True)
class DatasetsState:
    """What one browser tab is putting together.

    Args:
        include: answers picked by hand, with why.
        exclude: answers taken out by hand, with why.
        pages: where the pages before the one shown ended; the last leads to it.
        after: where the page shown ends; None when it is the last.
        sets: ids of the sets chosen for comparison.
        shown: id of the set whose details are open; empty for none.
    """

    include: Mapping[str, str] = field(default_factory=dict)
    exclude: Mapping[str, str] = field(default_factory=dict)
    pages: tuple[Cursor, ...] = ()
    after: Cursor | None = None
    sets: tuple[str, ...] = ()
    shown: str = ""


@dataclass(frozen=True)
class RuleParts:
    """The rule builder."""

    lists: tuple[gr.components.Component, ...]
    singles: tuple[gr.components.Component, ...]
    axes: tuple[gr.Dropdown, ...]

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What `read_rules` takes, in its order."""
        return [*self.lists, *self.singles, *self.axes]


@dataclass(frozen=True)
class RowParts:
    """The answers that the rules look at."""

    count: gr.HTML
    show: gr.Radio
    reason: gr.Textbox
    message: gr.HTML
    list: gr.HTML
    back: gr.Button
    more: gr.Button


@dataclass(frozen=True)
class FreezeParts:
    """Checks, and making a set."""

    check: gr.Button
    report: gr.HTML
    leave_out: gr.Checkbox
    accept: gr.Checkbox
    name: gr.Textbox
    freeze: gr.Button
    message: gr.HTML


@dataclass(frozen=True)
class SetParts:
    """The sets there are.

    Args:
        shown: id of the set whose details are open, for what follows it; empty for none.
    """

    list: gr.HTML
    message: gr.HTML
    details: gr.HTML
    confirm: gr.Checkbox
    shown: gr.State


@dataclass(frozen=True)
class DatasetsParts:
    """Everything in the tab that handlers fill."""

    state: gr.State
    rules: RuleParts
    rows: RowParts
    freezing: FreezeParts
    sets: SetParts


def read_rules(state: DatasetsState, values: Sequence[Any]) -> CurationRules:
    """What is filled in.

    Args:
        state: holds what was picked by hand.
        values: of `RuleParts.inputs`, in that order.

    Raises:
        InvalidInput: something of it is no rule.
    """
    singles = len(LISTS) + len(SINGLES)
    lists = dict(zip(LISTS, values[: len(LISTS)], strict=True))
    single = dict(zip(SINGLES, values[len(LISTS) : singles], strict=True))
    axes = {
        scale.axis.value: chosen for scale, chosen in zip(RUBRIC, values[singles:], strict=True) if chosen
    }
    filled = {name: value for name, value in (lists | single).items() if value not in (None, "", [])}
    picked = {"include": dict(state.include), "exclude": dict(state.exclude)}
    return parse_rules(filled | {"axes": axes} | picked)
