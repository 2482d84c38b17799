"""Red flags: rules in reviewable data that notice a possible emergency in what a user wrote."""

from elara_ui.clinical.redflags.advice import DEFAULT, Advice
from elara_ui.clinical.redflags.answers import check_answer
from elara_ui.clinical.redflags.rules import Finding, Reason, Rules, Turn, known_countries, load_rules

__all__ = [
    "DEFAULT",
    "Advice",
    "Finding",
    "Reason",
    "Rules",
    "Turn",
    "check_answer",
    "known_countries",
    "load_rules",
]
