"""Looking for a word in every byte of a home."""

from pathlib import Path

from db.home import Home


def holding(home: Home, word: str) -> list[Path]:
    """The files of a home whose bytes hold a word, the database's log among them."""
    files = [path for path in home.root.rglob("*") if path.is_file()]
    return [path for path in files if word.encode() in path.read_bytes()]
