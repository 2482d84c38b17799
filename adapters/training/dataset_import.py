"""Reading through the ``datasets`` library, in a process of its own.

Iterating over a dataset loads torch, which must not stay in the app's memory. The process writes JSONL, which
is then read like any other file.

Run as ``python -m adapters.training.dataset_import REFERENCE OUT``, both by `import_rows` only.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from adapters.errors import DatasetError
from adapters.training.rejects import BadRow
from adapters.training.text_files import MAX_FILE_BYTES, parse_lines

PROJECT_ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 30 * 60
HUB_ID = re.compile(r"(?P<place>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.-]+))?(?::(?P<split>.+))?", re.ASCII)
SPLIT = re.compile(r"(?P<name>[\w.-]*)(?:\[(?P<start>\d*):(?P<stop>\d*)\])?", re.ASCII)
QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TQDM_DISABLE": "1"}
SAVED_MARKERS = ("dataset_info.json", "dataset_dict.json")  # what save_to_disk leaves in its folder


@dataclass(frozen=True)
class DatasetReference:
    """A dataset, or a part of it.

    Args:
        place: a folder, or ``owner/name`` on the Hugging Face hub.
        split: ``train``, ``train[:500]``, ``[100:200]``; empty takes all of ``train``, or of the only split.
        config: which of its configurations, where a hub dataset has several.
    """

    place: str
    split: str = ""
    config: str = ""

    @property
    def name(self) -> str:
        """As people write it."""
        place = "/".join(filter(None, (self.place, self.config)))
        return f"{place}:{self.split}" if self.split else place


def parse_hub_reference(text: str) -> DatasetReference | None:
    """``owner/name[/config][:split]`` as a reference; None for anything else."""
    match = HUB_ID.fullmatch(text.strip())
    if match is None:
        return None
    return DatasetReference(match["place"], match["split"] or "", match["config"] or "")


def import_rows(
    reference: DatasetReference, limit: int | None = None
) -> Iterator[Mapping[str, Any] | BadRow]:
    """The rows of a dataset folder or of a dataset on the hub.

    Args:
        reference: which.
        limit: most rows to read; None reads all.

    Raises:
        DatasetError: it isn't there, can't be reached or can't be read.
    """
    with tempfile.TemporaryDirectory(prefix="elara-dataset-") as folder:
        out = Path(folder) / "rows.jsonl"
        _run(reference, limit, out)
        with out.open(encoding="utf-8") as lines:
            yield from parse_lines(lines)


def _run(reference: DatasetReference, limit: int | None, out: Path) -> None:
    given = json.dumps(asdict(reference) | {"limit": limit})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "adapters.training.dataset_import", given, str(out)],
            cwd=PROJECT_ROOT,
            env=os.environ | QUIET,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        minutes = TIMEOUT_SECONDS // 60
        raise DatasetError(
            f"{reference.name} was not read within {minutes} minutes. Take a part, such as train[:5000]."
        ) from error
    if done.returncode == 0:
        return
    lines = done.stdout.strip().splitlines()
    if done.returncode == 1 and lines:
        raise DatasetError(lines[-1])
    raise DatasetError(
        f"The process that reads {reference.name} ended without a word (status {done.returncode}); it may "
        "have run out of memory. Take a part of it, such as train[:5000]."
    )


def main(arguments: list[str]) -> int:
    """Write a dataset's rows as JSONL; a failure is said in the last line on stdout.

    Args:
        arguments: a `DatasetReference` with ``limit``, as JSON; and the file to write.

    Returns:
        The exit status: 0 done, 1 refused.
    """
    given, out = arguments
    values = json.loads(given)
    limit = values.pop("limit")
    reference = DatasetReference(**values)
    try:
        _write(islice(load_rows(reference), limit), reference, Path(out))
    except DatasetError as error:
        print(f"\n{' '.join(error.message.split())}")
        return 1
    return 0


def load_rows(reference: DatasetReference) -> Iterator[Mapping[str, Any]]:
    """The rows as ``datasets`` gives them.

    Raises:
        DatasetError: what ``datasets`` refuses, in words that say what to do.
    """
    wanted = SPLIT.fullmatch(reference.split)
    if wanted is None:
        raise DatasetError(
            f"{reference.split!r} is no part of a dataset. Write a split's name, with rows in brackets if "
            "you like: train, test, train[:500]."
        )
    try:
        table = _choose_split(_load(reference), wanted["name"], reference)
        yield from islice(table, int(wanted["start"] or 0), int(wanted["stop"]) if wanted["stop"] else None)
    except DatasetError:
        raise
    # Readers of a dozen formats and a network stand behind this: whatever they raise is told, not hidden.
    except Exception as error:
        raise DatasetError(_explain(error, reference)) from error


def _load(reference: DatasetReference) -> Any:
    import datasets

    folder = Path(reference.place)
    if folder.is_dir():
        if any((folder / marker).is_file() for marker in SAVED_MARKERS):
            return datasets.load_from_disk(reference.place)
        return datasets.load_dataset(reference.place, streaming=True)  # leaves no copy in a cache
    return datasets.load_dataset(reference.place, reference.config or None, streaming=True)


def _choose_split(loaded: Any, name: str, reference: DatasetReference) -> Iterable[Mapping[str, Any]]:
    if not isinstance(loaded, dict):  # a single table was saved, which has no splits
        if name not in ("", "train"):
            raise DatasetError(
                f"{reference.place} has no split {name!r}: it is a single table. Leave it away."
            )
        return loaded  # type: ignore[no-any-return]
    splits = list(loaded)
    wanted = name or ("train" if "train" in splits or len(splits) != 1 else splits[0])
    if wanted not in splits:
        raise DatasetError(
            f"{reference.place} has no split {wanted!r}; it has {', '.join(splits)}. "
            f"Write, say, {reference.place}:{splits[0] if splits else 'test'}."
        )
    return loaded[wanted]  # type: ignore[no-any-return]


def _explain(error: Exception, reference: DatasetReference) -> str:
    text = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, ConnectionError):
        return (
            f"The Hugging Face hub can't be reached, so {reference.name} can't be read ({text}). Check the "
            "network and its proxy, or download the dataset elsewhere and give its folder."
        )
    if "gated" in text:
        return f"{text} Accept its terms on the hub, set HF_TOKEN to your token and try again."
    if "Config name is missing" in text or "BuilderConfig" in text:
        return f"{text} Write owner/name/configuration."
    if "scripts are no longer supported" in text:
        return (
            f"{reference.name} needs its author's program to be read, which Elara doesn't run. Convert it to "
            "Parquet or JSONL, or choose another copy of it."
        )
    if type(error).__name__ == "DatasetNotFoundError":
        return f"{text} Check the name; for a private dataset set HF_TOKEN."
    return f"{reference.name} can't be read ({text}). Check its files, or convert it to one .jsonl."


def _write(rows: Iterable[Mapping[str, Any]], reference: DatasetReference, out: Path) -> None:
    size = 0
    with out.open("w", encoding="utf-8") as file:
        for row in rows:
            size += file.write(json.dumps(row, default=str) + "\n")
            if size > MAX_FILE_BYTES:
                raise DatasetError(
                    f"{reference.name} has more than 200 MB of text. Take a part of it, such as train[:5000]."
                )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
