"""A run's folder: everything that was decided before it, seen during it and said by it, as plain files.

- ``recipe.json``: audience, base model, prompt and every hyperparameter, frozen at launch
- ``snapshot.json``: which training set, by its hash, and what was kept and dropped
- ``environment.json``: machine and library versions of each attempt
- ``metrics.jsonl``: a line for every dot of the charts
- ``samples.jsonl``: answers to the fixed questions
- ``log.txt``: what the worker wrote
- ``checkpoints/``: from which it goes on; gone once it has succeeded
"""

import json
import logging
import os
import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from adapters.errors import RunError
from adapters.recipe import Hyperparameters, override
from db.errors import NotFound
from db.home import Home
from db.models import Snapshot, utc_now

LOG, RECIPE, SNAPSHOT, ENVIRONMENT = "log.txt", "recipe.json", "snapshot.json", "environment.json"
METRICS, SAMPLES, CHECKPOINTS = "metrics.jsonl", "samples.jsonl", "checkpoints"
CHECKPOINT_STATES = "checkpoint-*/trainer_state.json"  # transformers' names
LOG_TAIL_BYTES = 256 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrozenRecipe:
    """Everything a worker needs to know, as it was at launch.

    Args:
        audience: for whom the adapter will speak.
        base_model: catalogue id, hub id or folder.
        system_prompt: put before every example that has none of its own.
        max_explanation_length: words.
        hyperparameters: the checked settings.
        probes: questions put to the model while it learns, to see its voice change.
        parent_sha256: of the weights of the adapter that it continues from; empty when it starts afresh.
    """

    audience: str
    base_model: str
    system_prompt: str
    max_explanation_length: int
    hyperparameters: Hyperparameters
    probes: tuple[str, ...] = ()
    parent_sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As the file and the adapter's manifest hold it."""
        return {
            "audience": self.audience,
            "base_model": self.base_model,
            "system_prompt": self.system_prompt,
            "max_explanation_length": self.max_explanation_length,
            "hyperparameters": self.hyperparameters.to_dict(),
            "probes": list(self.probes),
            "parent_sha256": self.parent_sha256,
        }


@dataclass(frozen=True)
class Series:
    """Lines of JSON that grow with the run, and shrink when it goes back to a checkpoint.

    A line that the disk refuses is no reason to throw hours of training away: the log says so.

    Args:
        path: the file.
    """

    path: Path

    def add(self, step: int, **values: object) -> None:
        """Write a line.

        Args:
            step: optimizer steps done.
            values: what else is in it; those that are None are left out.
        """
        known = {name: value for name, value in values.items() if value is not None}
        line = {"step": step, **known, "time": utc_now().isoformat()}
        try:
            with self.path.open("a+b") as file:
                torn = file.tell() > 0 and not _ends_whole(file)  # the disk was full, or the process killed
                file.write((b"\n" if torn else b"") + _compose(line))
        except OSError as error:
            log.warning("Not written to %s: %s", self.path.name, error.strerror)

    def rewind(self, step: int, without: str | None = None) -> None:
        """Take the lines of later steps away, as they come again; a half-written last line goes too.

        Args:
            step: optimizer steps done.
            without: a value whose lines go at this step too.
        """
        kept = [
            line
            for line in self.read()
            if line["step"] < step or (line["step"] == step and without not in line)
        ]
        unfinished = self.path.with_suffix(".part")
        try:
            if self.path.exists():
                unfinished.write_bytes(b"".join(map(_compose, kept)))
                unfinished.replace(self.path)
        except OSError as error:
            log.warning("Not rewritten: %s: %s", self.path.name, error.strerror)

    def read(self) -> list[dict[str, Any]]:
        """Its whole lines, in their order; empty without a file."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        return [content for line in lines if (content := _parse(line)) is not None]


def run_folder(home: Home, run_id: str) -> Path:
    """Where a run keeps its files.

    Raises:
        NotFound: the id can't be one of a run (and so can't lead out of the folder either).
    """
    if not re.fullmatch(r"[0-9a-f]{1,32}", run_id):
        raise NotFound(f"There is no run {run_id[:60]!r}. The list of runs shows those that exist.")
    return home.runs / run_id


def open_record(folder: Path, recipe: FrozenRecipe, snapshot: Snapshot) -> None:
    """Make a run's folder, with what was decided at its launch.

    Raises:
        RunError: it can't be written.
    """
    content = {
        "id": snapshot.id,
        "sha256": snapshot.sha256,
        "path": snapshot.path,
        "source": snapshot.source,
        "rows": snapshot.rows,
        "manifest": snapshot.manifest,
    }
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_json(folder / RECIPE, recipe.to_dict())
        _write_json(folder / SNAPSHOT, content)
    except OSError as error:
        raise RunError(
            f"The run can't be stored in {folder}: {error.strerror}. Free some space or check it."
        ) from error


def checkpoint_step(folder: Path) -> int | None:
    """Optimizer steps done at the newest checkpoint, from which a resumed run goes on; None without one."""
    whole = filter(_is_json, (folder / CHECKPOINTS).glob(CHECKPOINT_STATES))  # the state is written last
    return max((int(state.parent.name.rpartition("-")[2]) for state in whole), default=None)


def add_environment(folder: Path, environment: dict[str, Any]) -> None:
    """Note on what an attempt at the run works; each resumption is an attempt of its own."""
    path = folder / ENVIRONMENT
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))["attempts"] if path.exists() else []
        _write_json(path, {"attempts": [*earlier, {"time": utc_now().isoformat(), **environment}]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s can't be written: %s", path.name, error)


def read_weights(folder: Path) -> tuple[str, str] | None:
    """The base model's weights that the last attempt at a run had: their SHA-256, and the hub's commit.

    Either is empty where the other tells; None where no attempt has noted any.
    """
    try:
        attempts = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))["attempts"]
        return str(attempts[-1]["base_sha256"]), str(attempts[-1]["base_revision"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def read_log(home: Home, run_id: str, tail: int = 200) -> str:
    """The last lines that a run's worker wrote.

    Args:
        home: where runs are kept.
        run_id: the run.
        tail: how many lines.

    Returns:
        The lines; empty before the worker has written any.

    Raises:
        NotFound: the id can't be one of a run.
    """
    try:
        with (run_folder(home, run_id) / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            lines = deque(file.read().decode("utf-8", errors="replace").splitlines(), maxlen=tail)
    except FileNotFoundError:
        return ""
    return "\n".join(lines)


def read_recipe(home: Home, run_id: str) -> FrozenRecipe:
    """The recipe as it was frozen at launch.

    Raises:
        RunError: the file is gone or damaged.
    """
    path = run_folder(home, run_id) / RECIPE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        settings = override(Hyperparameters(), content.pop("hyperparameters"))
        probes = tuple(content.pop("probes", ()))
        return FrozenRecipe(hyperparameters=settings, probes=probes, **content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"The frozen recipe {path} can't be read. Start the training again.") from error


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _compose(line: dict[str, Any]) -> bytes:
    """A line in ASCII, which no tearing makes unreadable and no exotic separator splits."""
    return json.dumps(line).encode("ascii") + b"\n"


def _ends_whole(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line's content; None for one that a killed process left unfinished."""
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) and isinstance(content.get("step"), int) else None
