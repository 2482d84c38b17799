"""Trying a candidate on a share of an audience's new conversations (a canary)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from adapters import registry
from adapters.recipe import Recipe
from db import adapters as adapter_store
from db import releases
from db.home import Home
from db.models import Adapter, Canary
from db.session import Database
from db.vocabulary import AdapterStatus, ReleaseAction
from elara_ui.errors import AdapterError, InvalidInput
from elara_ui.services.canary import USUAL_SHARE, Trial, VersionFigures, check_share, measure_trial
from elara_ui.services.gate_keeper import GateKeeper
from elara_ui.services.release_gate import Gate
from elara_ui.services.release_rules import check_person, check_reason, require


class TrialService:
    """Starts and stops trials, and counts what came of them.

    Args:
        database: where versions, conversations and the history are.
        home: where adapters' files are.
        served: tells the catalogue id of the base model that answers now.
        recipes: audience → recipe, for the reading targets.
        keeper: holds candidates against the gate.
        strict: whether no reason makes up for safety that wasn't measured.
    """

    def __init__(
        self,
        database: Database,
        home: Home,
        served: Callable[[], str],
        recipes: Mapping[str, Recipe],
        keeper: GateKeeper,
        *,
        strict: bool = False,
    ) -> None:
        self._database = database
        self._home = home
        self._served = served
        self._recipes = recipes
        self._keeper = keeper
        self._strict = strict

    def start(self, name: str, by: str, share: float = USUAL_SHARE, why: str = "") -> Trial:
        """Let a candidate answer a share of new conversations, in place of any other candidate that does.

        Args:
            name: versioned name.
            by: who does it.
            share: from above 0 to 0.5.
            why: why; needed where its safety wasn't measured or fell somewhere.

        Raises:
            NotFound: there is no such adapter.
            InvalidInput: nobody says who they are, it isn't a candidate, or the share is out of range.
            ReleaseRefused: the gate blocks it, or its safety isn't known and no reason is given.
            AdapterError: it was trained on another base model than the one served, its files are damaged, or
                it was brought in and hasn't passed its probe.
        """
        by, why, share = check_person(by), check_reason(why), check_share(share)
        gate = self._keeper.gate(name)
        adapter = self._find(name)
        safety = [check for check in gate.unmet if check.name == "safety"]
        require(Gate(gate.candidate, gate.opponent, (*gate.blockers, *safety)), why, strict=self._strict)
        registry.require_probe(registry.verify(registry.folder(self._home, adapter)))
        with self._database.session() as session:
            running = releases.canary(session, adapter.audience, adapter.base_model)
            if running is not None:
                self._stop(session, running, by, f"{name} is tried instead.")
            trial = releases.start_canary(session, adapter, share)
            self._record(
                session, ReleaseAction.CANARY_STARTED, adapter, by, why, share=share, figures=gate.to_dict()
            )
            return Trial(trial.adapter, trial.share, trial.started_at)

    def stop(self, audience: str, by: str, why: str = "") -> str:
        """Let what is live answer every conversation again; the trial's figures are kept in the history.

        Returns:
            The candidate's name.

        Raises:
            InvalidInput: nobody says who they are, or no candidate is tried.
        """
        by, why = check_person(by), check_reason(why)
        with self._database.session() as session:
            running = releases.canary(session, audience, self._served())
            if running is None:
                raise InvalidInput(f"No candidate is tried for {audience}: there is nothing to stop.")
            name = running.adapter
            self._stop(session, running, by, why)
            return name

    def figures(self, audience: str) -> tuple[VersionFigures, ...]:
        """The candidate's figures and the live version's since the trial began; none without a trial."""
        with self._database.reading() as session:
            canary = releases.canary(session, audience, self._served())
            return self._measure(session, canary) if canary else ()

    def end_with(self, session: Session, adapter: Adapter) -> dict[str, Any]:
        """End a version's trial because something else is done with it.

        Args:
            session: the one that does it.
            adapter: the version.

        Returns:
            The trial's figures as the history keeps them; nothing when the version is on no trial.
        """
        canary = releases.canary(session, adapter.audience, adapter.base_model)
        if canary is None or canary.adapter != adapter.name:
            return {}
        figures = self._describe(session, canary)
        releases.end_canary(session, adapter.audience, adapter.base_model)
        return figures

    def _stop(self, session: Session, canary: Canary, by: str, why: str) -> None:
        adapter, share = adapter_store.get(session, canary.adapter), canary.share
        figures = self._describe(session, canary)
        releases.end_canary(session, canary.audience, canary.base_model)
        self._record(session, ReleaseAction.CANARY_STOPPED, adapter, by, why, share=share, figures=figures)

    def _record(
        self,
        session: Session,
        action: ReleaseAction,
        adapter: Adapter,
        by: str,
        why: str,
        *,
        share: float,
        figures: dict[str, Any],
    ) -> None:
        live = adapter_store.live(session, adapter.audience, adapter.base_model)
        releases.record(
            session, action, audience=adapter.audience, base_model=adapter.base_model,
            before=live.name if live else None, after=adapter.name, by=by, reason=why, share=share,
            figures=figures,
        )  # fmt: skip

    def _describe(self, session: Session, canary: Canary) -> dict[str, Any]:
        return {"canary": [asdict(each) for each in self._measure(session, canary)]}

    def _measure(self, session: Session, canary: Canary) -> tuple[VersionFigures, ...]:
        return measure_trial(session, canary, self._recipes[canary.audience])

    def _find(self, name: str) -> Adapter:
        """A candidate on the base model served."""
        with self._database.reading() as session:
            adapter = adapter_store.get(session, name)
        if adapter.base_model != self._served():
            raise AdapterError(
                f"{name} was trained on {adapter.base_model}, but {self._served()} answers here, and an "
                f"adapter only fits its own base model. Try one of {self._served()}."
            )
        if adapter.status != AdapterStatus.CANDIDATE:
            raise InvalidInput(
                f"Only a candidate is tried, and {name} is {adapter.status}. Choose a version that never "
                "was live."
            )
        return adapter
