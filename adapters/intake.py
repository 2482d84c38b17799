"""The one way in for an adapter that was trained elsewhere: checked, converted, sealed; all or nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from adapters import base_layout, export, registry
from adapters.base_layout import BaseLayout
from adapters.base_model import BaseModel
from adapters.claims import Claims, choose_base, read_claims
from adapters.errors import AdapterError
from adapters.lora_fit import LoraFacts, check_fit, read_config, write_config
from adapters.manifest import GGUF, UPLOADED, WEIGHTS, Provenance
from adapters.scratch import INTAKE, scratch
from adapters.unpacking import gather
from db import adapters as adapter_store
from db.home import Home
from db.models import utc_now
from db.session import Database

Report = Callable[[str], None]
"""Told what is being done, in a few words."""


@dataclass(frozen=True)
class Arrival:
    """What somebody brings.

    Args:
        sources: a zip, a folder, or the adapter's files.
        audience: for whom it speaks.
        base: on which it was trained; None to go by what its files say.
        by: who brings it; empty when they don't say.
    """

    sources: tuple[Path, ...]
    audience: str
    base: BaseModel | None = None
    by: str = ""


@dataclass(frozen=True)
class Accepted:
    """An adapter that was taken in, as a candidate.

    Args:
        name: such as ``patient@3``.
        base: on which it is.
        facts: what was found in it.
        has_gguf: whether llama.cpp can serve it.
        notes: what there is to know about it, a sentence each.
        left_out: files that it came with and that weren't taken.
    """

    name: str
    audience: str
    base: BaseModel
    facts: LoraFacts
    has_gguf: bool
    notes: tuple[str, ...]
    left_out: tuple[str, ...]


def take_in(
    database: Database,
    home: Home,
    arrival: Arrival,
    known: Sequence[BaseModel],
    most_bytes: int,
    report: Report = lambda stage: None,
) -> Accepted:
    """Take an adapter in as its audience's next version, a candidate.

    Args:
        database: where adapters are recorded.
        home: where they are kept, and the base models.
        arrival: what is brought.
        known: the base models that there are.
        most_bytes: of its files together, unpacked.
        report: told what is being done.

    Raises:
        AdapterError: it isn't a whole plain LoRA, doesn't fit its base model, is there already, or isn't
            allowed to be what it is; nothing of it is kept.
        ModelError: the base model's files are damaged.
    """
    with scratch(home.adapters, INTAKE) as beside:
        folder = beside / "adapter"
        folder.mkdir(mode=0o700)
        report("Reading the files")
        gathered = gather(arrival.sources, folder, most_bytes)
        claims = read_claims(folder)
        said = str(read_config(folder).get("base_model_name_or_path") or "")
        base = choose_base(arrival.base, claims.base_model or said, known)
        digest = _hash(folder / WEIGHTS)
        _refuse_known(database, digest, arrival.audience, base)
        report(f"Holding it against {base.title}")
        layout = base_layout.read_layout(home.models, base)
        _check_weights_of_base(claims, base)
        facts = check_fit(folder, layout)
        write_config(folder, facts)
        report("Making the form that llama.cpp reads")
        has_gguf = _convert(folder, layout)
        upload = _describe(gathered.source, arrival.by, said, claims, facts)
        provenance = _trace(arrival.audience, base, claims, facts, upload)
        with database.session() as session:
            _refuse_known_in(session, digest, arrival.audience, base)
            name = registry.register(session, home, folder, provenance).name
    notes = _notes(layout, claims, said, arrival, has_gguf)
    return Accepted(name, arrival.audience, base, facts, has_gguf, notes, gathered.left_out)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _refuse_known(database: Database, digest: str, audience: str, base: BaseModel) -> None:
    with database.reading() as session:
        _refuse_known_in(session, digest, audience, base)


def _refuse_known_in(session: Session, digest: str, audience: str, base: BaseModel) -> None:
    same = adapter_store.find_same(session, digest, audience, base.id)
    if same is not None:
        raise AdapterError(
            f"Each adapter is taken in once; these very weights are {same.name} already ({same.status}). "
            f"Use that, or choose another audience than {audience}."
        )


def _check_weights_of_base(claims: Claims, base: BaseModel) -> None:
    """Where both say of which base weights they speak, these must be the same."""
    here = base_layout.sha256_of(base)
    if here and claims.base_sha256 and claims.base_sha256 != here:
        raise AdapterError(
            f"An adapter fits only the weights that it was trained on; its manifest names {base.title} with "
            f"SHA-256 {claims.base_sha256[:12]}…, here it is {here[:12]}…. Train it again on these."
        )


def _convert(folder: Path, layout: BaseLayout) -> bool:
    """Make the GGUF, where the architecture has one and the adapter a form in it."""
    if not export.can_convert(layout.architecture):
        return False
    export.convert_lora(folder, folder / GGUF, layout.config)
    return True


def _describe(source: str, by: str, said: str, claims: Claims, facts: LoraFacts) -> dict[str, Any]:
    described = {
        "file": source[:200],
        "by": by,
        "at": utc_now().isoformat(timespec="seconds"),
        "said_base": _shorten(said),
        "claimed_name": claims.name[:100],
        "rank": facts.rank,
        "alpha": facts.alpha,
        "rank_stabilised": facts.rank_stabilised,
        "targets": list(facts.targets),
        "matrices": facts.matrices,
        "parameters": facts.parameters,
        "dtype": facts.dtype,
    }
    return {name: value for name, value in described.items() if value != ""}


def _shorten(said: str) -> str:
    """A base model's name for the card: of a path the last part alone, as the rest tells of a machine."""
    name = " ".join(said.split()).replace("\\", "/").rstrip("/")
    is_path = name.startswith(("/", ".", "~")) or ":" in name or name.count("/") > 1
    return (name.rpartition("/")[2] if is_path else name)[:100]


def _trace(
    audience: str, base: BaseModel, claims: Claims, facts: LoraFacts, upload: Mapping[str, Any]
) -> Provenance:
    found = {
        "lora_r": facts.rank,
        "lora_alpha": facts.alpha,
        "use_rslora": facts.rank_stabilised,
        "target_modules": list(facts.targets),
    }
    claimed = claims.recipe.get("hyperparameters") or {}
    return Provenance(
        audience=audience,
        base_model=base.id,
        base_revision=claims.base_revision,
        base_sha256=base_layout.sha256_of(base),
        snapshot_sha256=claims.snapshot_sha256,
        rows=claims.rows,
        recipe={**claims.recipe, "hyperparameters": {**claimed, **found}},
        run_id=None,
        metrics=dict(claims.metrics),
        source=claims.source or UPLOADED,
        upload=dict(upload),
    )


def _notes(
    layout: BaseLayout, claims: Claims, said: str, arrival: Arrival, has_gguf: bool
) -> tuple[str, ...]:
    notes = []
    if not has_gguf:
        notes.append(
            f"llama.cpp can't serve it: there is no converter for “{layout.architecture}”. The transformers "
            "engine can."
        )
    if claims.name:
        notes.append(
            f"It was {claims.name} where it was made. Its data, recipe and figures are taken from its "
            "manifest, which nobody here can check."
        )
    made_for = claims.name.partition("@")[0]
    if made_for and made_for != arrival.audience:
        notes.append(f"There it spoke for {made_for}; here it will for {arrival.audience}.")
    if arrival.base is not None and said and not claims.base_model:
        notes.append(f"Its configuration calls its base model “{_shorten(said)}”.")
    return tuple(notes)
