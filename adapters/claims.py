"""What an adapter that somebody brings says of itself: its base model, and what its manifest claims.

Nothing here can be checked. What is taken over is held to its types, so that it can be shown; the card says
that it is a claim.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any

from adapters import embedded
from adapters.base_model import BaseModel
from adapters.card import METRICS
from adapters.errors import AdapterError
from adapters.manifest import MANIFEST, WEIGHTS

_TRAINABLE = f"{Path(embedded.FILE_NAME).stem}.trainable"  # as runs call the embedded model's folder
_LONGEST_TEXT = 4000
_MOST_SETTINGS = 100


@dataclass(frozen=True)
class Claims:
    """What Elara's manifest of an adapter says.

    Args:
        name: that it had where it was made, such as ``patient@3``; empty without a manifest.
        base_model: catalogue id.
        base_sha256: of the base model's weights; empty when it didn't say.
        base_revision: commit on the hub; empty when it didn't say.
        snapshot_sha256: of the training set.
        rows: examples in it.
        recipe: hyperparameters and system prompt.
        metrics: figures, finite numbers only.
        source: where the rows came from.
    """

    name: str = ""
    base_model: str = ""
    base_sha256: str = ""
    base_revision: str = ""
    snapshot_sha256: str = ""
    rows: int = 0
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


def read_claims(folder: Path) -> Claims:
    """What the manifest beside an adapter says; nothing when there is none.

    Raises:
        AdapterError: it is the manifest of other weights, or can't be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return Claims()
    try:
        manifest = json.loads(path.read_text("utf-8"))
        made, files = manifest["provenance"], manifest["files"]
        expected = str(files[WEIGHTS])
        claims = Claims(
            name=_text(manifest.get("name")),
            base_model=_text(made.get("base_model")),
            base_sha256=_text(made.get("base_sha256")),
            base_revision=_text(made.get("base_revision")),
            snapshot_sha256=_text(made.get("snapshot_sha256")),
            rows=_count(made.get("rows")),
            recipe=_recipe(made.get("recipe")),
            metrics=_metrics(made.get("metrics")),
            source=_text(made.get("source")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AdapterError(
            f"{MANIFEST} beside an adapter must be Elara's; this one can't be read as that. Leave it out to "
            "bring the adapter without its history."
        ) from error
    with (folder / WEIGHTS).open("rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise AdapterError(
            f"{MANIFEST} must be that of these weights; it names the SHA-256 {expected[:12]}…, theirs is "
            f"{found[:12]}…. They were changed, or the manifest is another adapter's: bring the folder as "
            "Elara exported it, or leave the manifest out."
        )
    return claims


def choose_base(chosen: BaseModel | None, named: str, known: Sequence[BaseModel]) -> BaseModel:
    """The base model of an adapter: as a person says, unless the adapter says otherwise.

    Args:
        chosen: by the person; None to go by the adapter.
        named: what the adapter's files call its base model; empty when they don't.
        known: the models that there are.

    Raises:
        AdapterError: the two contradict each other, or neither is known.
    """
    found = _find(named, known)
    if chosen is None and found is None:
        says = (
            f"this one calls it “{named[:100]}”, which isn't known here" if named else "this one names none"
        )
        raise AdapterError(
            f"An adapter belongs to one base model, and {says}. Say which it was trained on (--base, or the "
            "menu in the page); add it in the Models tab if it isn't there."
        )
    if chosen is not None and found is not None and found.id != chosen.id:
        raise AdapterError(
            f"An adapter fits only the base model that it was trained on; this one says {found.title} "
            f"({found.id}), and {chosen.title} was chosen. Choose that, or leave it to the file."
        )
    return chosen or found  # type: ignore[return-value]  # one of them is there


def _find(named: str, known: Sequence[BaseModel]) -> BaseModel | None:
    """The one model that a name means; None when it is none or several."""
    wanted = named.strip().rstrip("/\\").replace("\\", "/").lower()
    if not wanted:
        return None
    last = wanted.rpartition("/")[2]
    if last == _TRAINABLE.lower():
        return next((model for model in known if model.embedded), None)
    for model in known:
        if wanted in {name.lower() for name in (model.id, model.source, model.hub_id) if name}:
            return model
    found = [model for model in known if last in {each.rpartition("/")[2].lower() for each in _names(model)}]
    return found[0] if len(found) == 1 else None


def _names(model: BaseModel) -> list[str]:
    return [name for name in (model.id, model.hub_id, model.source) if name]


def _text(value: object) -> str:
    return " ".join(str(value).split())[:_LONGEST_TEXT] if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else 0


def _recipe(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {}
    settings = value.get("hyperparameters")
    settings = settings if isinstance(settings, dict) else {}
    plain = {
        _text(name)[:60]: _setting(setting)
        for name, setting in list(settings.items())[:_MOST_SETTINGS]
        if name
    }
    kept: dict[str, Any] = {"hyperparameters": plain}
    if prompt := _text(value.get("system_prompt")):
        kept["system_prompt"] = prompt
    if words := _count(value.get("max_explanation_length")):
        kept["max_explanation_length"] = words
    return kept


def _setting(value: object) -> Any:
    """A hyperparameter: a number, a word or a list of words."""
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return [_text(each)[:60] for each in value[:60]] if isinstance(value, list) else _text(value)[:200]


def _metrics(value: object) -> dict[str, Any]:
    """Figures whose meaning is known."""
    given = value if isinstance(value, dict) else {}
    return {
        name: given[name]
        for name in METRICS
        if isinstance(given.get(name), int | float)
        and not isinstance(given[name], bool)
        and math.isfinite(given[name])
    }
