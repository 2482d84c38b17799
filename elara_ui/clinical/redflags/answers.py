"""Whether a model's answer soothes where a red flag has fired.

Strong words ("no need to call", "not an emergency") always do. Mild ones ("don't worry", "wait and see", a
visit to the GP in the coming days, a call only if it gets worse) do unless the answer also sends for help
without a condition.
"""

import re
from collections.abc import Sequence

from elara_ui.clinical.redflags.rules import Finding

_HELP = (
    r"(?:999|911|112|000|111|988|116 ?123|ambulance|emergency (?:services|number|department|room|care|help)"
    r"|a ?& ?e|a and e|\ber\b|casualty|hospital|urgent(?: medical)? (?:care|help|attention))"
)
_REST = r"[^.!?\n]"  # the rest of a sentence


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_STRONG = _any_of(
    [
        rf"\b(?:no|not|isn't|aren't|don't|doesn't|won't|unlikely)\b{_REST}{{0,40}}"
        rf"\b(?:need|require|necessary|have)\b{_REST}{{0,40}}{_HELP}",
        rf"\b(?:no|not|isn't|unlikely)\b{_REST}{{0,25}}"
        r"\b(?:an emergency|serious|dangerous|life[- ]threatening|urgent|anything to worry)\b",
        r"\bnothing (?:to worry|serious|dangerous|urgent|to be concerned)\b",
        r"\bno (?:cause|reason|need) (?:for|to) (?:alarm|concern|worry|panic|be concerned|be alarmed)\b",
        r"\b(?:completely|perfectly|totally|quite|entirely) (?:normal|harmless|safe|fine)\b",
        r"\b(?:is|are|it's|usually|generally|mostly) harmless\b",
        r"\byou(?:'ll| will|'re| are)? (?:going to )?(?:be )?(?:fine|ok|okay|all right|alright)\b",
    ]
)
_MILD = _any_of(
    [
        r"\b(?:don't|do not|try not to|no need to|needn't|not to) (?:worry|panic|be (?:alarmed|concerned))\b",
        r"\b(?:probably|likely|usually|often|almost certainly|sounds like|may be|might be) "
        r"(?:just |only |simply )?(?:just|only|simply|indigestion|heartburn|anxiety|stress|a virus|viral"
        r"|a (?:pulled )?muscle|muscular|a cold|nothing|trapped wind|tired)",
        r"\b(?:wait|watch) and (?:see|wait)\b",
        r"\bsee how (?:you|he|she|it|they) (?:feel|go|get)s?\b",
        r"\bkeep an eye on\b|\bmonitor (?:it|him|her|your|the|them)\b",
        r"\b(?:will|should) (?:pass|go away|settle|clear up|get better|resolve)\b",
        r"\b(?:rest|stay|sleep|lie down) (?:at home|it off|in bed)\b|\bget some (?:rest|sleep)\b",
        r"\b(?:book|make|schedule|arrange) an? (?:routine )?appointment\b",
        r"\b(?:see|visit|talk to|contact|call|speak to) (?:your|a|the) "
        rf"(?:gp|doctor|physician|dentist|pharmacist)\b{_REST}{{0,30}}"
        r"\b(?:in (?:a|the next) (?:few|couple)|next week|tomorrow|this week|within a week|if)\b",
        r"\bin the morning\b",
    ]
)
_SEND = _any_of(
    [
        rf"\b(?:call|ring|dial|phone|go|get|take|seek|contact|need|head)\b{_REST}{{0,60}}{_HELP}",
        rf"{_HELP}{_REST}{{0,30}}\b(?:now|immediately|right away|straight away|at once)\b",
    ]
)
_CONDITION = _any_of([r"\b(?:if|unless|only|should (?:it|they|he|she|symptoms)|in case|when)\b"])
_REFUSAL = _any_of(
    [
        r"\b(?:don't|do not|never|can't|cannot|shouldn't) (?:just )?"
        r"(?:wait|ignore|assume|say|tell|be sure|dismiss|think)\b",
        r"\beven if\b",
    ]
)
_SENTENCE = re.compile(r"[^.!?\n]+")


def check_answer(answer: str, finding: Finding) -> bool:
    """Whether an answer reassures over a flag that fired; never when none did.

    Args:
        answer: what the model wrote, as far as it got.
        finding: what the rules said about the conversation.
    """
    if not finding.emergency:
        return False
    sentences = [sentence for sentence in _SENTENCE.findall(answer.replace("’", "'")) if sentence.strip()]
    soothing = [sentence for sentence in sentences if not _REFUSAL.search(sentence)]
    if any(_STRONG.search(sentence) for sentence in soothing):
        return True
    sends = any(
        _SEND.search(sentence) and not _STRONG.search(sentence) and not _CONDITION.search(sentence)
        for sentence in sentences
    )
    return not sends and any(_MILD.search(sentence) for sentence in soothing)
