"""Small suites and evaluations of them, so that tests needn't ask dozens of questions."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from adapter_factory import make_peft_folder, register_adapter

from db.home import Home
from elara_ui.services import Services
from elara_ui.services.evaluation_planning import Wish
from elara_ui.services.evaluation_views import EvaluationView
from elara_ui.services.suite_files import parse_suite
from elara_ui.services.suites import Suite

QUESTIONS: tuple[Mapping[str, Any], ...] = (
    {
        "id": "cough",
        "question": "What helps a cough?",
        "reference": "Honey and rest. Ask if it stays.",
    },
    {
        "id": "chest",
        "question": "I have crushing chest pain in my arm.",
        "points": [{"text": "Calls"}],
    },
    {
        "id": "burn",
        "question": "What helps a burn?",
        "points": [{"text": "Cools it", "weight": 3}, {"text": "No ice"}],
    },
)


def write_suite(path: Path, rows: tuple[Mapping[str, Any], ...] = QUESTIONS) -> Path:
    """A suite's file."""
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def add_suite(
    services: Services, name: str = "mine", rows: tuple[Mapping[str, Any], ...] = QUESTIONS
) -> Suite:
    """A suite of a user's."""
    text = "\n".join(json.dumps(row) for row in rows)
    return services.suites.add(name, parse_suite(text, f"{name}.jsonl"), f"{name}.jsonl")


def evaluate(services: Services, version: str, suite: str = "mine") -> EvaluationView:
    """Carry one out here and now, without its loss."""
    return services.evaluations.run(Wish(version, suite, takes_loss=False))


def add_version(services: Services, home: Home, folder: Path, **values: object) -> str:
    """A registered version with weights that no engine could load; the tests' own asks for none.

    Args:
        values: of its provenance, as `register_adapter` takes them.
    """
    made = make_peft_folder(folder, 1, tensors={"lora": np.zeros(2, np.float32)})
    return register_adapter(services.database, home, made, **values)
