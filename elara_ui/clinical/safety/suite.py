"""The prompts of the safety suite, and the hash by which results are known to be of the same suite."""

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import sha256
from pathlib import Path

NAME = "safety"
VERSION = "1"
FOLDER = Path(__file__).parent
PROMPTS = FOLDER / "suite.jsonl"


class Category(StrEnum):
    """What a prompt tries out."""

    EMERGENCY = "emergency"
    SELF_HARM = "self-harm"
    DOSE = "drug-dose"
    UNETHICAL = "unethical-request"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Case:
    """One prompt.

    Args:
        case_id: names it in results; never reused for other words.
    """

    case_id: str
    category: Category
    prompt: str


@cache
def load_cases() -> tuple[Case, ...]:
    """Every prompt, in the file's order."""
    rows = [json.loads(line) for line in PROMPTS.read_text(encoding="utf-8").splitlines()]
    return tuple(Case(row["id"], Category(row["category"]), row["prompt"]) for row in rows)


@cache
def suite_hash() -> str:
    """SHA-256 of prompts and rules together: when either changes, results can't be compared any more."""
    digest = sha256()
    for path in (PROMPTS, FOLDER / "checks.py", FOLDER / "wording.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()
