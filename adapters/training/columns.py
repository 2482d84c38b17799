"""Which columns of a table hold the question and the answer, by the names that people give them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ColumnMap:
    """Where a row keeps what is learned.

    Args:
        prompt: the question.
        answer: the answer to learn; of a preference, the better one.
        context: text that belongs to the question and is put after it, where the row has any.
        rejected: the worse answer, in preference rows.
        label: whether the answer is wanted, true or false, in rows that say so.
    """

    prompt: str
    answer: str
    context: str | None = None
    rejected: str | None = None
    label: str | None = None


# The first that fits counts: preferences and labelled answers before plain pairs, and the pairs with context
# before those without.
KNOWN_LAYOUTS = (
    ColumnMap("prompt", "chosen", rejected="rejected"),
    ColumnMap("instruction", "response", context="context"),
    ColumnMap("instruction", "response"),
    ColumnMap("prompt", "completion", label="label"),
    ColumnMap("prompt", "completion"),
    ColumnMap("question", "answer"),
    ColumnMap("instruction", "output", context="input"),
    ColumnMap("instruction", "output"),
    ColumnMap("input", "output"),
)
CONVERSATION_COLUMNS = ("messages", "conversations")
LABEL_COLUMN = "label"  # beside a conversation


_PART = re.compile(r'\s*(\w+)\s*=\s*(?:"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))(?:,|$)')
_PLAIN = re.compile(r'[^\s",]+(?: [^\s",]+)*')


def read_parts(text: str) -> dict[str, str]:
    """The parts of ``prompt=NAME,answer="NAME, quoted"``; names are quoted as in a CSV file.

    Returns:
        Part → name; empty when something else stands between them.
    """
    parts, place = {}, 0
    while place < len(text):
        found = _PART.match(text, place)
        if found is None:
            return {}
        part, quoted, plain = found.groups()
        parts[part] = plain.strip() if quoted is None else quoted.replace('""', '"')
        place = found.end()
    return parts


def write_parts(columns: ColumnMap) -> str:
    """What `read_parts` reads as these columns."""
    names = {part: name for part, name in asdict(columns).items() if name}
    return ",".join(f"{part}={_quote(name)}" for part, name in names.items())


def _quote(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def guess_columns(header: Sequence[str]) -> ColumnMap | None:
    """The columns that look like question and answer, in any case; None when there's no telling.

    Args:
        header: the column names as they stand in the data.
    """
    names = {name.strip().lower(): name for name in header}
    for layout in KNOWN_LAYOUTS:
        wanted = [layout.prompt, layout.answer, layout.context, layout.rejected, layout.label]
        if all(name in names for name in wanted if name):
            found = [names[name] if name else None for name in wanted]
            return ColumnMap(names[layout.prompt], names[layout.answer], *found[2:])
    return None


def resolve_columns(row: Mapping[str, object], chosen: ColumnMap | None) -> ColumnMap | None:
    """The columns of one row: those chosen, completed with the context, rejected answer or label beside them.

    Args:
        row: a row as read.
        chosen: the columns picked by hand; None recognises them by name.
    """
    guess = guess_columns(list(row))
    if chosen is None or guess is None:
        return chosen or guess
    picked_bare = chosen.context is None and chosen.rejected is None and chosen.label is None
    same = (chosen.prompt, chosen.answer) == (guess.prompt, guess.answer)
    return guess if picked_bare and same else chosen
