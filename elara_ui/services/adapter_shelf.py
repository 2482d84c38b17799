"""Every adapter version beside the others: base model, lineage, size and whether it answers."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from adapters import registry
from adapters.card import find_base
from db import adapters as adapter_store
from db.home import Home
from db.models import Adapter
from db.session import Database
from db.vocabulary import AdapterStatus
from elara_ui.errors import ElaraError


@dataclass(frozen=True)
class ShelvedAdapter:
    """One adapter version.

    Args:
        name: ``audience@version``.
        audience: for whom it speaks.
        status: candidate, live or retired.
        base_model: id of the model it was trained on.
        base_title: that model's name as shown.
        served: whether that is the model that answers now.
        parent: the adapter it went on from; empty when it started afresh.
        run_id: that made it; None when it was brought in.
        dataset: where its rows came from; empty when that isn't known.
        rows: examples it learned from; 0 when that isn't known.
        size: of its files, bytes.
        created_at: when it was made.
        trouble: what is wrong with its files; empty when nothing is seen.
        is_starter: whether it came with Elara.
    """

    name: str
    audience: str
    status: AdapterStatus
    base_model: str
    base_title: str
    served: bool
    parent: str
    run_id: str | None
    dataset: str
    rows: int
    size: int
    created_at: datetime
    trouble: str
    is_starter: bool = False


def list_shelf(database: Database, home: Home, served: str) -> tuple[ShelvedAdapter, ...]:
    """Every adapter version, by audience, newest first. Files are looked at, not hashed.

    Args:
        database: where their status is.
        home: where their files are.
        served: id of the base model that answers now.
    """
    with database.reading() as session:
        return tuple(_shelve(home, adapter, served) for adapter in adapter_store.list_all(session))


def _shelve(home: Home, adapter: Adapter, served: str) -> ShelvedAdapter:
    parent = dataset = trouble = ""
    rows = size = 0
    try:
        folder = registry.folder(home, adapter)
        size = _size(folder)
        made = registry.read_manifest(folder).provenance
        parent, dataset, rows = str(made.recipe.get("continue_from") or ""), made.source, made.rows
    except ElaraError as error:
        trouble = error.message
    return ShelvedAdapter(
        name=adapter.name,
        audience=adapter.audience,
        status=AdapterStatus(adapter.status),
        base_model=adapter.base_model,
        base_title=find_base(adapter.base_model).title,
        served=adapter.base_model == served,
        parent=parent,
        run_id=adapter.run_id,
        dataset=dataset,
        rows=rows,
        size=size,
        created_at=adapter.created_at,
        trouble=trouble,
        is_starter=not trouble and registry.came_with_elara(home, adapter),
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
