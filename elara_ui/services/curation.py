"""From judgements to training sets: counting, looking at, checking and freezing what rules select."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from adapters.hyperparameters import Hyperparameters
from adapters.training.examples import Example
from adapters.training.preparation import Prepared, freeze, prepare
from db import curation, curation_pairs, lineage, responses, snapshots
from db import reviewers as reviewer_store
from db.curation import BETTER, WORSE
from db.curation_rules import CurationRules, LeftOut, Objective, RowKind
from db.home import Home
from db.session import Database
from db.training_rows import Cursor, candidates
from elara_ui.errors import DatasetError, InvalidInput
from elara_ui.services.blindness import hidden_from
from elara_ui.services.curated_examples import describe_selection, name_by_id, read_examples
from elara_ui.services.curation_check import (
    SHOWN,
    CheckReport,
    find_identifiers,
    find_leaks,
    read_evaluation_sets,
    read_held_out,
)
from elara_ui.services.rule_files import parse_rules
from elara_ui.services.selection_view import WHY_IN, WHY_OUT, RowCount, RowPage, preview_row
from elara_ui.services.snapshots import SnapshotView, describe_snapshot, rows_by_answer
from elara_ui.services.suites import read_suite_prompts

NAME = re.compile(r"[\w][\w .+-]{0,99}")
NO_LIMIT = 1_000_000
"""Rows and words: a curated set is not cut; a run cuts it to its own limits."""
REASON_LIMIT = 2000
"""Characters of why an answer was withdrawn."""


@dataclass(frozen=True)
class Choices:
    """What there is to choose from in rules."""

    audiences: tuple[str, ...]
    adapters: tuple[str, ...]
    base_models: tuple[str, ...]
    batches: tuple[str, ...]
    reviewers: tuple[str, ...]


class CurationService:
    """Makes training sets of what was judged.

    Args:
        database: where judgements are.
        home: where snapshots go and evaluation sets are.
    """

    def __init__(self, database: Database, home: Home) -> None:
        self._database = database
        self._home = home

    def choices(self) -> Choices:
        """What answers in review come from, for a form."""
        with self._database.reading() as session:
            people = tuple(person.name for person in reviewer_store.everyone(session))
            return Choices(*curation.list_voices(session), reviewers=people)

    def count(self, rules: CurationRules) -> RowCount:
        """How many rows the rules give, and why other answers stay out; quick enough to follow a form."""
        with self._database.reading() as session:
            standings, corrected = curation.count_rated(session, rules)
            better, worse = standings.pop(BETTER, 0), standings.pop(WORSE, 0)
            left_out, kinds = Counter(standings), Counter[str]()
            kinds[RowKind.CORRECTED] = corrected
            match rules.objective:
                case Objective.SFT:
                    kinds[RowKind.ACCEPTED] = better - corrected
                    left_out[LeftOut.REJECTED] += worse
                case Objective.KTO:
                    kinds[RowKind.ACCEPTED] = better - corrected
                    kinds[RowKind.REJECTED] = worse
                    kinds[RowKind.THUMB] = curation.count_thumbed(session, rules)
                case Objective.DPO:
                    kinds[RowKind.MATCHED] = curation_pairs.count_matches(session, rules) if worse else 0
                    votes = Counter(vote.left_out for vote in curation_pairs.each_vote(session, rules))
                    kinds[RowKind.PREFERRED] = votes.pop("", 0)
                    left_out += votes
        return RowCount(
            sum(kinds.values()),
            {WHY_IN[kind]: number for kind, number in kinds.items() if number},
            {WHY_OUT[reason]: left_out[reason] for reason in LeftOut if left_out[reason]},
        )

    def preview(
        self,
        rules: CurationRules,
        after: Cursor | None = None,
        *,
        limit: int = 20,
        show: str = "all",
        reviewer: str | None = None,
    ) -> RowPage:
        """One page of the answers that the rules look at, each with why it is in or out.

        Of an answer that someone is still to judge blind nothing is told but that it is there.

        Args:
            rules: what is asked.
            after: of the page before; None for the first.
            limit: most answers.
            show: ``in``, ``out`` or ``all``.
            reviewer: who looks, as `hidden_from` takes it.
        """
        values: tuple[str, ...] = tuple(LeftOut) if show == "out" else ()
        if values and rules.objective is not Objective.KTO:
            values = (*values, WORSE)
        with self._database.reading() as session:
            found = candidates(session, rules, after=after, only_in=show == "in", values=values)
            wanted = (each for each in found if show == "all" or bool(each.left_out) is (show == "out"))
            page = list(islice(wanted, limit + 1))
            ids = {id for each in page for id in (each.response_id, each.other_response_id) if id}
            hidden = hidden_from(session, reviewer, ids)
        more = page[limit - 1].cursor if len(page) > limit else None
        return RowPage(tuple(preview_row(each, rules, hidden) for each in page[:limit]), more)

    def check(self, rules: CurationRules, *, reviewer: str | None = None) -> CheckReport:
        """What freezing would keep, and what speaks against it. Takes a minute for a hundred thousand rows.

        Args:
            rules: what to take.
            reviewer: who looks, as `hidden_from` takes it: rows that they may not see are counted, not told.

        Raises:
            DatasetError: an evaluation set can't be read.
        """
        with self._database.reading() as session:
            examples = read_examples(session, rules)
            held_out = read_held_out(session, self._home)
        return self._check(examples, rules, held_out, reviewer)[0]

    def freeze(
        self,
        rules: CurationRules,
        name: str,
        *,
        accept_identifiers: bool = False,
        leave_out_leaks: bool = False,
        reviewer: str | None = None,
    ) -> SnapshotView:
        """Make an immutable training set of what the rules select now, as the next version of a name.

        The part that is held out is chosen first, by clusters of alike prompts; what earlier sets that were
        trained on held out is held out again.

        Args:
            rules: what to take.
            name: such as ``patient-plain``; versions are counted by themselves.
            accept_identifiers: likely identifiers were looked at and may stay.
            leave_out_leaks: leave rows out whose prompts are in an evaluation set, rather than refuse.
            reviewer: who asks, as `hidden_from` takes it: a refusal tells nothing of what they may not see.

        Raises:
            InvalidInput: the name is no name, identifiers were found, or prompts of evaluation sets.
            DatasetError: nothing is left to learn from, or the disk refuses.
            Conflict: these very rows are stored under another name.
        """
        name = check_name(name)
        with self._database.reading() as session:
            examples = read_examples(session, rules)
            held_out = read_held_out(session, self._home)
        report, prepared, leaking = self._check(examples, rules, held_out, reviewer)
        if leaking and leave_out_leaks:
            reasons = dict.fromkeys(leaking, "its prompt is in an evaluation set") | dict(rules.exclude)
            rules = replace(rules, exclude=reasons)
            kept = [each for each in examples if each.origin["response_id"] not in leaking]
            report, prepared, leaking = self._check(kept, rules, held_out, reviewer)
        _require_freezable(report, accept_identifiers=accept_identifiers)
        if prepared is None:
            raise DatasetError(report.problem)
        return self._store(prepared, rules, name, {"identifiers": dict(report.identifiers)})

    def withdraw_answer(self, response_id: str, reason: str) -> None:
        """Let an answer shape no new set and leave the review queue; `LineageService` says what it shaped.

        Args:
            response_id: the answer; one withdrawn before keeps its first reason.
            reason: why; kept with the answer.

        Raises:
            NotFound: there is no such answer.
            InvalidInput: no reason is given, or it is too long.
        """
        reason = self.check_withdrawal(response_id, reason)
        with self._database.session() as session:
            responses.withdraw(session, response_id, reason)

    def check_withdrawal(self, response_id: str, reason: str) -> str:
        """Refuse what `withdraw_answer` would; nothing is withdrawn.

        Returns:
            The reason without surplus space.

        Raises:
            NotFound: there is no such answer.
            InvalidInput: no reason is given, or it is too long.
        """
        with self._database.reading() as session:
            responses.get(session, response_id)
        reason = reason.strip()
        if not 1 <= len(reason) <= REASON_LIMIT:
            raise InvalidInput(
                f"Withdrawing an answer needs a reason of 1 to {REASON_LIMIT} characters; this one has "
                f"{len(reason)}. Say in a sentence why it may not be learned from."
            )
        return reason

    def rebuild_without(self, reference: str) -> SnapshotView:
        """Freeze a set anew without what has been withdrawn since, as the next version of its name.

        Only answers that are in the set come in, judged by its own rules as everything stands now; each
        keeps the part it was in.

        Args:
            reference: the set's id or ``name@version``.

        Raises:
            NotFound: there is no such set.
            InvalidInput: it was not made by rules, or nothing of it has changed.
            DatasetError: nothing would be left.
        """
        with self._database.reading() as session:
            old = snapshots.find_reference(session, reference)
            if old.name is None or "rules" not in old.manifest:
                raise InvalidInput(
                    f"Only a set made by rules can be made anew, and {reference} came from {old.source}. "
                    "Start from its source, or freeze a selection under a name."
                )
            rules = parse_rules(old.manifest["rules"])
            parts = {key[0]: row["part"] for key, row in rows_by_answer(self._home, old).items()}
            members = snapshots.members(session, old.id)
            ids = {id for row in members for id in (row.response_id, row.other_response_id) if id}
            found = read_examples(session, replace(rules, answers=tuple(ids)))
        examples = [
            replace(each, part=parts[each.origin["response_id"]])
            for each in found
            if each.origin["response_id"] in parts
        ]
        if not examples:
            raise DatasetError(f"Nothing of {reference} is left once what was withdrawn is gone.")
        prepared = prepare(examples, _settings(rules), NO_LIMIT)
        made = self._store(prepared, rules, old.name, {"rebuilt_from": old.id})
        if made.snapshot_id == old.id:
            raise InvalidInput(
                f"Nothing of {made.label} was withdrawn or judged anew, so it would be the same set. "
                "Use it as it is."
            )
        return made

    def _check(
        self,
        examples: Sequence[Example],
        rules: CurationRules,
        held_out: Sequence[str],
        reviewer: str | None,
    ) -> tuple[CheckReport, Prepared | None, set[str]]:
        """The report, what would be frozen, and the answers that leak."""
        with self._database.reading() as session:
            suites = read_suite_prompts(session)
        leaks = find_leaks(examples, {**suites, **read_evaluation_sets(self._home)})
        kinds, findings = find_identifiers(examples)
        with self._database.reading() as session:
            answers = [each.answers for each in leaks] + [each.answers for each in findings]
            hidden = hidden_from(session, reviewer, set(chain.from_iterable(answers)))
        told_leaks = [leak for leak in leaks if hidden.isdisjoint(leak.answers)]
        told_findings = [finding for finding in findings if hidden.isdisjoint(finding.answers)]
        prepared, problem = None, "No answer fits these rules. Loosen them, or review more answers."
        again = find_leaks(examples, dict.fromkeys(held_out, "held out before"))
        if examples and len(again) == len(examples):
            problem = (
                "Every prompt here was held out by a set that was trained on, so nothing is left to learn "
                "from. Review answers to other questions."
            )
        elif examples:
            try:
                prepared = prepare(examples, _settings(rules), NO_LIMIT, evaluated=held_out)
                problem = ""
            except DatasetError as error:
                problem = error.message
        report = CheckReport(
            rows=len(examples),
            train=len(prepared.train) if prepared else 0,
            evaluation=len(prepared.evaluation) if prepared else 0,
            held_again=len(again),
            duplicates=prepared.report.duplicates if prepared else 0,
            near_duplicates=prepared.report.near_duplicates if prepared else 0,
            identifiers=dict(kinds),
            findings=tuple(told_findings[:SHOWN]),
            findings_hidden=len(findings) - len(told_findings),
            leaks=tuple(told_leaks[:SHOWN]),
            leaks_hidden=len(leaks) - len(told_leaks),
            leak_count=len(leaks),
            problem=problem,
        )
        return report, prepared, {leak.answers[0] for leak in leaks}

    def _store(
        self, prepared: Prepared, rules: CurationRules, name: str, more: Mapping[str, Any]
    ) -> SnapshotView:
        with self._database.session() as session:
            rules = name_by_id(session, rules)
            manifest = describe_selection(prepared, rules) | dict(more)
            objective = rules.objective
            snapshot = freeze(
                self._home, session, prepared, "curation", objective=objective, manifest=manifest
            )
            snapshots.give_name(session, snapshot, name)
            withdrawn = lineage.count_withdrawn(session, [snapshot.id])
            return describe_snapshot(snapshot, (), withdrawn.get(snapshot.id, 0))


def check_name(name: str) -> str:
    """A set's name without surplus space.

    Raises:
        InvalidInput: it is no name.
    """
    name = " ".join(name.split())
    if not NAME.fullmatch(name):
        raise InvalidInput(
            "A dataset's name has 1 to 100 letters, digits, spaces, dots, plus signs and hyphens; this is "
            f"{name[:60]!r}. The version is counted by itself."
        )
    return name


def _require_freezable(report: CheckReport, *, accept_identifiers: bool) -> None:
    if report.leak_count:
        named = "".join(f", such as {leak.question[:80]!r} in {leak.set_name}" for leak in report.leaks[:1])
        raise InvalidInput(
            f"No prompt of an evaluation set may be learned, but some share one ({report.leak_count} rows)"
            f"{named}. Leave these rows out, or take the set away."
        )
    if report.problem:
        raise DatasetError(report.problem)
    if report.identifiers and not accept_identifiers:
        found = ", ".join(f"{number} × {kind}" for kind, number in report.identifiers.items())
        raise InvalidInput(
            f"Likely identifiers were found: {found}. Look at them, exclude or correct those answers, or "
            "confirm that they may stay."
        )


def _settings(rules: CurationRules) -> Hyperparameters:
    return Hyperparameters(
        objective=rules.objective.value, max_samples=NO_LIMIT, eval_fraction=rules.eval_fraction,
        seed=rules.seed,
    )  # fmt: skip
