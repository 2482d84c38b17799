"""What is asked of whoever changes what answers: a name, and a reason where the gate isn't met."""

from elara_ui.errors import InvalidInput, ReleaseRefused
from elara_ui.services.release_gate import Check, CheckState, Gate
from elara_ui.services.review_drafts import REVIEWER_LIMIT

REASON_LIMIT = 2000
"""Characters of a reason."""


def require(gate: Gate, why: str, *, strict: bool) -> None:
    """Refuse what is blocked, and what isn't met without a reason.

    Args:
        gate: how the version stands.
        why: why it may answer all the same; empty for no reason.
        strict: whether no reason makes up for anything.

    Raises:
        ReleaseRefused: the message holds every rule that refuses, with its figures and what to do.
    """
    refused = gate.blockers or (gate.unmet if strict or not why else ())
    if not refused:
        return
    said = "\n".join(f"{check.title}: {check.sentence}" for check in refused)
    if gate.blockers:
        raise ReleaseRefused(f"{gate.candidate} may not answer.\n{said}")
    if strict:
        raise ReleaseRefused(
            f"{gate.candidate} may not answer while the gate isn't met (ELARA_STRICT_RELEASE).\n{said}"
        )
    raise ReleaseRefused(
        f"{gate.candidate} doesn't meet {_count(gate.unmet)} of the gate; say why it may answer all the "
        f"same, and it will be kept with the release.\n{said}"
    )


def check_person(name: str) -> str:
    """Who does it, without surplus space.

    Raises:
        InvalidInput: it isn't 1 to 120 characters long.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= REVIEWER_LIMIT:
        raise InvalidInput(
            f"Whoever changes what answers says who they are, in 1 to {REVIEWER_LIMIT} characters; got "
            f"{len(name)}. Enter your name."
        )
    return name


def check_reason(why: str) -> str:
    """A reason without space around it.

    Raises:
        InvalidInput: it is too long.
    """
    why = why.strip()
    if len(why) > REASON_LIMIT:
        raise InvalidInput(
            f"A reason has at most {REASON_LIMIT:,} characters; this one has {len(why):,}. Shorten it."
        )
    return why


def _count(checks: tuple[Check, ...]) -> str:
    unmeasured = sum(check.state is CheckState.NOT_MEASURED for check in checks)
    rules = f"{len(checks)} rule{'' if len(checks) == 1 else 's'}"
    return f"{rules} ({unmeasured} not measured)" if unmeasured else rules
