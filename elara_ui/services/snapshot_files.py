"""Stored training sets in the forms in which other tools read them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from db.models import Snapshot

PARQUET_ROWS = 2000
"""Rows held in memory at a time while a table is written."""


def write_folder(found: Snapshot, title: str, source: Path, place: Path, manifest: str) -> None:
    """A folder as ``datasets`` loads it: a table a part, a card, and the manifest.

    Args:
        found: the set.
        title: what the card calls it.
        source: its JSONL.
        place: the folder to make.
        manifest: as JSON.
    """
    (place / "data").mkdir(parents=True)
    parts = [
        part
        for part in ("train", "evaluation")
        if write_parquet(source, place / "data" / f"{part}.parquet", part)
    ]
    (place / "manifest.json").write_text(manifest, encoding="utf-8")
    files = "".join(f"  - split: {part}\n    path: data/{part}.parquet\n" for part in parts)
    (place / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n\n# {title}\n\n"
        f"{found.rows} rows for {found.objective}, made with Elara from answers that professionals have "
        "judged. `manifest.json` holds the rules, the pseudonymous raters, and the hash and origin of each "
        "row.\n\nNot a medical device, and no substitute for clinical judgement.\n",
        encoding="utf-8",
    )


def write_parquet(source: Path, target: Path, part: str = "") -> int:
    """Write the rows of a part, or all, as a Parquet table.

    Args:
        source: JSONL of a set.
        target: the file to write; none is made where there is no row.
        part: ``train`` or ``evaluation``; empty for all.

    Returns:
        How many rows there were.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    schema = pa.schema(
        [
            ("messages", pa.list_(turn)),
            ("rejected", pa.string()),
            ("label", pa.bool_()),
            ("part", pa.string()),
            ("origin", pa.string()),
        ]
    )
    count, writer = 0, None
    try:
        with source.open(encoding="utf-8") as lines:
            for page in _pages(json.loads(line) for line in lines):
                rows = [_flatten(row) for row in page if not part or row["part"] == part]
                if rows:
                    writer = writer or pq.ParquetWriter(target, schema)
                    writer.write_table(pa.Table.from_pylist(rows, schema))
                    count += len(rows)
    finally:
        if writer is not None:
            writer.close()
    return count


def _flatten(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with one column each for what it is and where it came from."""
    return {**row, "origin": json.dumps(row["origin"], sort_keys=True)}


def _pages(rows: Iterable[dict[str, Any]]) -> Iterable[Sequence[dict[str, Any]]]:
    page: list[dict[str, Any]] = []
    for row in rows:
        page.append(row)
        if len(page) == PARQUET_ROWS:
            yield page
            page = []
    if page:
        yield page
