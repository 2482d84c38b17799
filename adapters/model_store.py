"""Which base models are on this machine, and where.

What is downloaded lies under ``models/<owner>--<name>/<form>/``, with a record that is written last: a folder
without it is unfinished. The embedded model has its own file; a model that somebody named by its path stays
where it is.
"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adapters import embedded
from adapters.base_model import GGUF_SUFFIX, BaseModel, Weights
from adapters.errors import ModelError
from adapters.files import write_whole

RECORD = "model.json"
PART = ".part"
_SEVERAL = re.compile(r"-(\d{5})-of-\d{5}\.gguf$", re.IGNORECASE)


@dataclass(frozen=True)
class StoredWeights:
    """Weights of a base model on this machine.

    Args:
        weights: in which form.
        place: what an engine opens: a GGUF file, of one in parts the first, or a folder.
        size: of all their files, bytes.
        revision: the hub's commit; empty where nobody knows.
        own: whether Elara brought them, and so may delete them.
    """

    weights: Weights
    place: Path
    size: int
    revision: str = ""
    own: bool = True


def folder_of(models: Path, model: BaseModel, weights: Weights) -> Path:
    """Where downloaded weights belong.

    Args:
        models: the folder of base models.
        model: one of the hub.
        weights: in which form.
    """
    return models / model.id.replace("/", "--") / weights.value


def find_weights(models: Path, model: BaseModel, weights: Weights) -> StoredWeights | None:
    """The weights in one form, if they are here and whole; downloads are checked when they are made."""
    return next((found for found in list_weights(models, model) if found.weights is weights), None)


def list_weights(models: Path, model: BaseModel) -> tuple[StoredWeights, ...]:
    """Every form in which a model is here.

    Args:
        models: the folder of base models.
        model: from the catalogue, the hub or a path.
    """
    if model.embedded:
        return _embedded(models)
    if model.local:
        return _named(Path(model.source))
    found = (_downloaded(folder_of(models, model, weights), weights) for weights in Weights)
    return tuple(each for each in found if each is not None)


def brought_bytes(folder: Path) -> int:
    """What of an unfinished download is there, bytes; 0 when it is finished or hasn't begun."""
    if not folder.is_dir() or (folder / RECORD).exists():
        return 0
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def write_record(
    folder: Path, model: BaseModel, repository: str, revision: str, files: Mapping[str, Any]
) -> None:
    """Note that a download is whole.

    Args:
        folder: from `folder_of`.
        model: whose weights they are.
        repository: of the hub, where they came from.
        revision: the commit.
        files: name → size in bytes and SHA-256.
    """
    record = {"model": model.id, "repository": repository, "revision": revision, "files": dict(files)}
    write_whole(folder / RECORD, json.dumps(record, indent=1).encode())


def delete_weights(models: Path, model: BaseModel, weights: Weights) -> int:
    """Delete downloaded weights, finished or not.

    Returns:
        What that freed, bytes.

    Raises:
        ModelError: there are none, or they aren't Elara's to delete.
    """
    if model.embedded:
        raise ModelError("The embedded model belongs to Elara and stays: without it nothing would answer.")
    if model.local:
        raise ModelError(f"{model.source} was named by its path; Elara deletes only what it has downloaded.")
    folder = folder_of(models, model, weights)
    if not folder.is_dir():
        raise ModelError(f"There are no {weights.value} weights of {model.id} here. Nothing was deleted.")
    size = _size(folder)
    try:
        (folder / RECORD).unlink(missing_ok=True)  # first: half of a folder must not look whole
        shutil.rmtree(folder)
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
    except OSError as error:
        raise ModelError(f"{folder} can't be deleted: {error.strerror}. Check its permissions.") from error
    return size


def first_part(names: list[str]) -> str:
    """Of the files of one GGUF model, that which is opened: the only one, or the first part."""
    firsts = [name for name in names if (part := _SEVERAL.search(name)) is None or int(part[1]) == 1]
    return sorted(firsts)[0]


def as_document(stored: StoredWeights) -> dict[str, Any]:
    """The same as JSON takes it."""
    return asdict(stored) | {"place": str(stored.place), "weights": stored.weights.value}


def _embedded(models: Path) -> tuple[StoredWeights, ...]:
    path = models / embedded.FILE_NAME
    if not path.is_file():
        return ()
    return (StoredWeights(Weights.Q4, path, path.stat().st_size),)


def _named(place: Path) -> tuple[StoredWeights, ...]:
    """A file or folder that somebody named; a file goes by the form that is nearest to it."""
    if place.is_file():
        try:
            return (StoredWeights(form_of_file(place), place, file_bytes(place), own=False),)
        except ModelError:  # it was a model when it was named
            return ()
    if place.is_dir():
        size = sum(path.stat().st_size for path in place.glob("*.safetensors"))
        return (StoredWeights(Weights.FULL, place, size, own=False),)
    return ()


def form_of_file(path: Path) -> Weights:
    """The form that a GGUF file is nearest to, by the bits that its weights take.

    Raises:
        ModelError: it isn't a GGUF file.
    """
    from adapters.gguf_header import read_header

    header = read_header(path)
    bits = header.tensor_bytes * 8 / max(1, header.parameters)
    return Weights.Q4 if bits < 6.5 else Weights.Q8 if bits < 12 else Weights.F16


def file_bytes(path: Path) -> int:
    """Size of a GGUF file, or of all parts of one whose first this is."""
    part = _SEVERAL.search(path.name)
    if part is None:
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name[: part.start()]}-*-of-*.gguf"))


def _downloaded(folder: Path, weights: Weights) -> StoredWeights | None:
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        names, revision = list(record["files"]), str(record["revision"])
        size = sum((folder / name).stat().st_size for name in names)
    except (OSError, ValueError, KeyError, TypeError):  # not there, or somebody has taken a file away
        return None
    files = [name for name in names if name.lower().endswith(GGUF_SUFFIX)]
    if weights.is_gguf and not files:
        return None
    return StoredWeights(weights, folder / first_part(files) if weights.is_gguf else folder, size, revision)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
