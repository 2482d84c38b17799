"""Which version answers an audience: promoting, going back and trying, each written down with who and why.

This is the only way in which a version becomes live. The engine follows at the next message, here and in
every other process of this home.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from adapters import registry
from adapters.recipe import Recipe
from db import adapters as adapter_store
from db import releases
from db.home import Home
from db.models import Adapter
from db.session import Database
from db.vocabulary import AdapterStatus, ReleaseAction
from elara_ui.errors import AdapterError, Conflict, InvalidInput
from elara_ui.services.adapters import AdapterSummary, describe_version
from elara_ui.services.canary import Trial, describe_trial
from elara_ui.services.gate_keeper import GateKeeper
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.release_gate import Gate
from elara_ui.services.release_history import ReleaseRecord, describe_release
from elara_ui.services.release_rules import check_person, check_reason, require
from elara_ui.services.runs import RunService
from elara_ui.services.trials import TrialService


@dataclass(frozen=True)
class Standing:
    """What answers an audience on the base model served, and what might.

    Args:
        live: the version that answers; None is the base model alone.
        back_to: what one click goes back to; None is the base model alone. Without a meaning where nothing is
            live.
        trial: the candidate on a share of new conversations; None when there is none.
        candidates: versions that were never live, the newest first.
    """

    audience: str
    base_model: str
    live: AdapterSummary | None
    back_to: str | None
    trial: Trial | None
    candidates: tuple[AdapterSummary, ...]


class ReleaseService:
    """Promotes, goes back and retires; `TrialService` tries.

    Args:
        database: where versions and the history are.
        home: where adapters' files are.
        served: tells the catalogue id of the base model that answers now.
        recipes: audience → recipe.
        keeper: holds candidates against the gate.
        trials: ends a version's trial when it is promoted or put aside.
        runs: tells how a version's run is done again.
        strict: whether whatever isn't met blocks, whatever the reason.
    """

    def __init__(
        self,
        database: Database,
        home: Home,
        served: Callable[[], str],
        recipes: Mapping[str, Recipe],
        keeper: GateKeeper,
        trials: TrialService,
        runs: RunService,
        *,
        strict: bool = False,
    ) -> None:
        self._database = database
        self._home = home
        self._served = served
        self._recipes = recipes
        self._keeper = keeper
        self._trials = trials
        self._runs = runs
        self._strict = strict

    @property
    def is_strict(self) -> bool:
        """Whether whatever isn't met blocks, whatever the reason."""
        return self._strict

    def standing(self, audience: str) -> Standing:
        """What answers an audience, and what might.

        Raises:
            InvalidInput: there is no such audience.
        """
        self._recipe(audience)
        served = self._served()
        with self._database.reading() as session:
            live = adapter_store.live(session, audience, served)
            return Standing(
                audience,
                served,
                describe_version(live) if live else None,
                releases.previous(session, live) if live else None,
                describe_trial(releases.canary(session, audience, served)),
                tuple(
                    describe_version(each)
                    for each in adapter_store.list_all(session, audience)
                    if each.base_model == served and each.status == AdapterStatus.CANDIDATE
                ),
            )

    def gate(self, candidate: str) -> Gate:
        """How a version stands to the rules, by the figures there are now.

        Raises:
            NotFound: there is no such adapter.
        """
        return self._keeper.gate(candidate)

    def history(self, audience: str | None = None, limit: int = 50) -> tuple[ReleaseRecord, ...]:
        """What was done on any base model, the latest first.

        Args:
            audience: only for this one; None for all.
            limit: most entries.
        """
        with self._database.reading() as session:
            found = releases.history(session, audience, limit=limit)
            names = {each.after for each in found if each.after}
            known = {each.name: each.run_id for each in adapter_store.list_all(session, audience)}
        made = {name: self._command(known.get(name)) for name in names}
        return tuple(describe_release(each, made.get(each.after or "", "")) for each in found)

    def promote(self, name: str, by: str, why: str = "") -> AdapterSummary:
        """Make a version the one that answers its audience; the one before it is retired.

        A version that was live once comes back without a gate, as by `roll_back`. Its trial ends.

        Args:
            name: versioned name.
            by: who does it.
            why: why; needed where the gate isn't met.

        Raises:
            NotFound: there is no such adapter.
            InvalidInput: nobody says who they are, or the reason is too long.
            Conflict: it answers already.
            ReleaseRefused: the gate blocks it, or isn't met and no reason is given.
            AdapterError: it was trained on another base model than the one served, its files are damaged, or
                it was uploaded and hasn't passed its probe.
        """
        by, why = check_person(by), check_reason(why)
        adapter = self._find(name)
        if adapter.status == AdapterStatus.LIVE:
            raise Conflict(f"{name} answers {adapter.audience} already. Choose another version.")
        if adapter.status == AdapterStatus.RETIRED and adapter.promoted_at is not None:
            return self._go_to(adapter.audience, name, by, why)
        registry.require_probe(registry.read_manifest(registry.folder(self._home, adapter)))
        gate = self.gate(name)
        require(gate, why, strict=self._strict)
        with self._database.session() as session:
            before = self._live(session, adapter)
            if before != gate.opponent:
                raise Conflict(
                    f"Meanwhile {before or 'the base model'} answers {adapter.audience}, and the gate "
                    f"compared {name} with {gate.opponent or 'the base model'}. Look at the gate again, then "
                    "promote."
                )
            figures = gate.to_dict() | self._trials.end_with(session, adapter)
            promoted = registry.promote(session, self._home, name)
            self._record(session, ReleaseAction.PROMOTED, adapter, before, name, by, why, figures=figures)
            return describe_version(promoted)

    def roll_back(
        self, audience: str, by: str, why: str = "", to: str | None = None
    ) -> AdapterSummary | None:
        """Let what answered before answer again, at once and without a gate.

        Args:
            audience: for whom.
            by: who does it.
            why: why; may be empty, since going back mustn't wait for words.
            to: a version that was live before, or ``base`` for the base model alone; the one before this if
                not given.

        Returns:
            What answers now; None is the base model alone.

        Raises:
            NotFound: there is no such version.
            InvalidInput: nobody says who they are, nothing is live, or the version was never live here.
            AdapterError: the files of the version are damaged.
        """
        by, why = check_person(by), check_reason(why)
        standing = self.standing(audience)
        if standing.live is None:
            raise InvalidInput(
                f"The base model answers {audience} on {standing.base_model}: there is nothing to "
                "go back from."
            )
        target = standing.back_to if to is None else to
        if target in (None, BASE_ALONE):
            self._go_to_base(audience, by, why)
            return None
        return self._go_to(audience, str(target), by, why)

    def retire(self, name: str, by: str, why: str = "") -> AdapterSummary:
        """Put a candidate aside; its files, set and recipe stay.

        Raises:
            NotFound: there is no such adapter.
            InvalidInput: nobody says who they are, or it isn't a candidate.
        """
        by, why = check_person(by), check_reason(why)
        with self._database.session() as session:
            adapter = adapter_store.get(session, name)
            if adapter.status != AdapterStatus.CANDIDATE:
                raise InvalidInput(
                    f"Only a candidate is put aside, and {name} is {adapter.status}. Roll back."
                )
            figures = self._trials.end_with(session, adapter)
            retired = adapter_store.retire(session, name)
            self._record(
                session, ReleaseAction.RETIRED, adapter, self._live(session, adapter), name, by, why,
                figures=figures or None,
            )  # fmt: skip
            return describe_version(retired)

    def _go_to(self, audience: str, name: str, by: str, why: str) -> AdapterSummary:
        """Make a version live that was so before."""
        adapter = self._find(name)
        if adapter.audience != audience or adapter.promoted_at is None:
            raise InvalidInput(
                f"One goes back to a version that was live for {audience}, and {name} never was. Promote it."
            )
        with self._database.session() as session:
            before = self._live(session, adapter)
            promoted = registry.promote(session, self._home, name)
            self._record(session, ReleaseAction.ROLLED_BACK, adapter, before, name, by, why)
            return describe_version(promoted)

    def _go_to_base(self, audience: str, by: str, why: str) -> None:
        with self._database.session() as session:
            live = adapter_store.live(session, audience, self._served())
            if live is not None:
                adapter_store.retire(session, live.name)
                self._record(session, ReleaseAction.ROLLED_BACK, live, live.name, None, by, why)

    def _record(
        self,
        session: Session,
        action: ReleaseAction,
        adapter: Adapter,
        before: str | None,
        after: str | None,
        by: str,
        why: str,
        *,
        share: float | None = None,
        figures: dict[str, Any] | None = None,
    ) -> None:
        releases.record(
            session, action, audience=adapter.audience, base_model=adapter.base_model, before=before,
            after=after, by=by, reason=why, share=share, figures=figures,
        )  # fmt: skip

    def _find(self, name: str) -> Adapter:
        """A version that could answer on the base model served."""
        with self._database.reading() as session:
            adapter = adapter_store.get(session, name)
        if adapter.base_model != self._served():
            raise AdapterError(
                f"{name} was trained on {adapter.base_model}, but {self._served()} answers here, and an "
                f"adapter only fits its own base model. Train one on {self._served()} instead."
            )
        return adapter

    def _live(self, session: Session, adapter: Adapter) -> str | None:
        live = adapter_store.live(session, adapter.audience, adapter.base_model)
        return live.name if live else None

    def _recipe(self, audience: str) -> Recipe:
        recipe = self._recipes.get(audience)
        if recipe is None:
            raise InvalidInput(
                f"There is no audience {audience!r}. Choose one of: {', '.join(self._recipes)}."
            )
        return recipe

    def _command(self, run_id: str | None) -> str:
        """How a version's run is done again on the set and recipe kept; empty when it was brought in."""
        return self._runs.show(run_id).command if run_id else ""
