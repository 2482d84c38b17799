"""All that is known of one adapter: where it came from, what it measured, its files and its card."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from adapters import registry
from adapters.card import METRICS, UPLOAD_FACTS, find_base, write_card
from adapters.manifest import CARD, Form, Manifest
from adapters.probing import Probe
from db import evaluations as evaluation_store
from db import snapshots as snapshot_store
from db.home import Home
from db.models import Adapter
from db.vocabulary import AdapterStatus
from elara_ui.services.evaluation_views import EvaluationView, describe
from elara_ui.services.files import StoredFile, list_files


@dataclass(frozen=True)
class Figure:
    """One thing measured.

    Args:
        unit: in words; empty when there is none.
    """

    name: str
    label: str
    value: Any
    unit: str


@dataclass(frozen=True)
class AdapterDetails:
    """One adapter version with its lineage.

    Args:
        base_title: the base model's name as shown.
        base_revision: its commit on the hub; empty for local weights.
        base_sha256: of local weights; empty for a hub model.
        licence: of the base model; empty when not known.
        source: where the rows came from; empty when that wasn't noted.
        rows: examples learned from.
        snapshot: id of the training set, for repeating the run on it; empty when this home hasn't got it.
        snapshot_sha256: of the training set.
        figures: what was measured.
        recipe: every hyperparameter and the system prompt.
        libraries: versions of what made it.
        files: its files, intact.
        card: the model card, Markdown without its front matter.
        upload: of one that was brought in, what was noted of that; empty for one that was trained here.
        probe: what it said when it was tried; None before.
        evaluations: the newest finished one of these weights on each suite, with its figures.
    """

    name: str
    audience: str
    status: AdapterStatus
    base_model: str
    base_title: str
    base_revision: str
    base_sha256: str
    licence: str
    source: str
    rows: int
    snapshot: str
    snapshot_sha256: str
    run_id: str | None
    figures: tuple[Figure, ...]
    recipe: Mapping[str, Any]
    libraries: Mapping[str, str]
    created_at: str
    files: tuple[StoredFile, ...]
    card: str
    upload: Mapping[str, Any] = field(default_factory=dict)
    probe: Probe | None = None
    evaluations: tuple[EvaluationView, ...] = ()


def describe_adapter(session: Session, home: Home, adapter: Adapter) -> AdapterDetails:
    """Read an adapter's folder, checking every file against its seal.

    Raises:
        AdapterError: a file is missing or changed.
    """
    folder = registry.folder(home, adapter)
    manifest = registry.verify(folder)
    made = manifest.provenance
    base = find_base(made.base_model)
    stored = snapshot_store.find(session, made.snapshot_sha256)
    return AdapterDetails(
        name=adapter.name,
        audience=adapter.audience,
        status=AdapterStatus(adapter.status),
        base_model=base.id,
        base_title=base.title,
        base_revision=made.base_revision,
        base_sha256=made.base_sha256,
        licence=base.licence,
        source=made.source or (stored.source if stored else ""),
        rows=made.rows,
        snapshot=stored.id if stored else "",
        snapshot_sha256=made.snapshot_sha256,
        run_id=made.run_id,
        figures=_list_figures(made.metrics),
        recipe=made.recipe,
        libraries=manifest.libraries,
        created_at=manifest.created_at,
        files=list_files(folder),
        card=_read_card(manifest),
        upload={UPLOAD_FACTS.get(name, name): value for name, value in made.upload.items()},
        probe=Probe.of_document(manifest.probe),
        evaluations=tuple(map(describe, evaluation_store.newest_on_each_suite(session, adapter.sha256))),
    )


def _list_figures(metrics: Mapping[str, Any]) -> tuple[Figure, ...]:
    figures = []
    for name, value in metrics.items():
        label, unit = METRICS.get(name, (name.replace("_", " ").capitalize(), ""))
        figures.append(Figure(name, label, value, unit))
    return tuple(figures)


def _read_card(manifest: Manifest) -> str:
    """The card as it would be written today: that of an older version may say less."""
    files = {name: digest for name, digest in manifest.files.items() if name != CARD}
    text = write_card(Manifest(**(vars(manifest) | {"files": files})), Form.PEFT)
    return text.split("---\n", 2)[2].strip()
