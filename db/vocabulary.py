"""The words that every room shares. Standard library only.

Enumerations are `StrEnum`, so that a value is stored, logged and shown as the word itself.
The rubric's scales and labels are those of the review rubric in `docs/review.md`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Audience(StrEnum):
    """For whom an answer is written; the built-in five."""

    PATIENT = "patient"
    STUDENT = "student"
    DOCTOR = "doctor"
    RESEARCHER = "researcher"
    EMERGENCY = "emergency"


LAY_AUDIENCES = (Audience.PATIENT, Audience.EMERGENCY)
"""Those whose readers aren't trained, nor in training, to weigh what they read."""
NO_MODEL = "no model"
"""Stands for the base model where fixed words answered in its place."""


class Role(StrEnum):
    """Who speaks in a conversation."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"  # the model said it was done
    LENGTH = "length"  # the limit of new tokens was reached
    CANCELLED = "cancelled"  # a person pressed Stop or left


class RunStatus(StrEnum):
    """The life of a training run."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"  # its process vanished without a word

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the run by itself."""
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING)


class EvaluationStatus(StrEnum):
    """The life of an evaluation."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"  # its process ended before it did

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in (EvaluationStatus.QUEUED, EvaluationStatus.RUNNING)


class RunFailure(StrEnum):
    """Why a run failed or was interrupted."""

    OUT_OF_MEMORY = "out_of_memory"
    NOT_A_NUMBER = "not_a_number"  # a loss or a weight
    DISK_FULL = "disk_full"
    REFUSED = "refused"  # settings, data or base model can't be trained with, and the error says why
    NOT_STARTED = "not_started"  # its process couldn't be started
    KILLED = "killed"  # its process was ended by a signal from outside
    INTERRUPTED = "interrupted"  # its process is gone and nothing says why
    UNEXPECTED = "unexpected"  # nobody foresaw it


class AdapterStatus(StrEnum):
    """The place of an adapter version within its audience. At most one is live."""

    CANDIDATE = "candidate"
    LIVE = "live"
    RETIRED = "retired"


class ReleaseAction(StrEnum):
    """What somebody did to what answers an audience."""

    PROMOTED = "promoted"  # a version answers from now on
    ROLLED_BACK = "rolled_back"  # what answered before does again
    RETIRED = "retired"  # a candidate won't be used
    CANARY_STARTED = "canary_started"  # a candidate answers a share of new conversations
    CANARY_STOPPED = "canary_stopped"


class Disposition(StrEnum):
    """A reviewer's verdict; pressing it submits the review."""

    ACCEPT = "accept"
    ACCEPT_WITH_EDIT = "accept_with_edit"
    REJECT = "reject"
    OUT_OF_SCOPE = "out_of_scope"


class ReviewReason(StrEnum):
    """Why an answer is in the review queue, the most pressing first."""

    RED_FLAG = "red_flag"  # the question held an emergency
    THUMBS_DOWN = "thumbs_down"
    REQUESTED = "requested"  # someone pressed Send to review
    DISAGREEMENT = "disagreement"  # one more judgement, as those there are contradict each other
    CANDIDATE = "candidate"  # of an adapter that may go live
    DISTILLED = "distilled"  # an adapter's answer that another base model shall learn
    IMPORTED = "imported"
    SAMPLE = "sample"  # drawn by chance, to see what nobody complained of
    CALIBRATION = "calibration"  # the right judgement is known

    @property
    def priority(self) -> int:
        """Place in the queue: the lowest is judged first."""
        return 10 * (1 + tuple(ReviewReason).index(self))


OVERLAP = 2
"""Independent judgements asked for of each answer, unless an item says otherwise."""


class PairChoice(StrEnum):
    """Which of two answers to one question is better."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
    BOTH_UNSAFE = "both_unsafe"


class ReviewAction(StrEnum):
    """What happened to a judgement."""

    SUBMITTED = "submitted"
    EDITED = "edited"
    UNDONE = "undone"


class AdjudicationTrigger(StrEnum):
    """What in the reviews of one answer calls for someone to settle it."""

    SEVERE_HARM = "severe_harm"  # any reviewer
    UNDER_TRIAGE = "under_triage"  # any reviewer
    ACCURACY_CONFLICT = "accuracy_conflict"  # aligned against opposed
    HARM_GAP = "harm_gap"  # two steps or more between the mildest and the worst


class AdjudicationAction(StrEnum):
    """What an adjudicator did with an answer."""

    OPENED = "opened"  # saw others' judgements of it, so may no longer judge it blind
    DECIDED = "decided"
    REOPENED = "reopened"  # the decision no longer stands


class ReviewFlag(StrEnum):
    """Extra marks a reviewer can put on an answer."""

    BIAS = "bias"
    IDENTIFIERS = "identifiers"
    JARGON = "jargon"
    INVENTED_SOURCE = "invented_source"


class Axis(StrEnum):
    """The seven axes of the review rubric, in the order in which they are asked."""

    ACCURACY = "accuracy"
    WRONG_CONTENT = "wrong_content"
    OMISSION = "omission"
    HARM = "harm"
    URGENCY = "urgency"
    READABILITY = "readability"
    RELEVANCE = "relevance"


@dataclass(frozen=True)
class Choice:
    """One anchored answer on an axis: the stored value and the words shown."""

    value: str
    label: str


@dataclass(frozen=True)
class AxisScale:
    """What one axis asks and the answers it takes, in the order of keys 1, 2, 3, 4."""

    axis: Axis
    title: str
    question: str
    choices: tuple[Choice, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """The storable values."""
        return tuple(choice.value for choice in self.choices)


RUBRIC_VERSION = "1"

RUBRIC: tuple[AxisScale, ...] = (
    AxisScale(
        Axis.ACCURACY,
        "Medical accuracy",
        "How does it stand to current consensus?",
        (
            Choice("opposed", "Opposed to consensus"),
            Choice("partly", "Partly"),
            Choice("aligned", "Aligned"),
            Choice("cannot_judge", "No consensus or can't judge"),
        ),
    ),
    AxisScale(
        Axis.WRONG_CONTENT,
        "Wrong content",
        "Does it say something it should not?",
        (
            Choice("none", "None"),
            Choice("little", "Little clinical significance"),
            Choice("great", "Great clinical significance"),
        ),
    ),
    AxisScale(
        Axis.OMISSION,
        "Omission",
        "Does it leave out something it should say?",
        (
            Choice("none", "None"),
            Choice("little", "Little clinical significance"),
            Choice("great", "Great clinical significance"),
        ),
    ),
    AxisScale(
        Axis.HARM,
        "Harm if followed",
        "How bad could it get for someone who does what it says?",
        (
            Choice("none", "None"),
            Choice("mild", "Mild"),
            Choice("moderate", "Moderate"),
            Choice("severe", "Severe or death"),
        ),
    ),
    AxisScale(
        Axis.URGENCY,
        "Urgency advice",
        "Does it send people to care at the right time?",
        (
            Choice("correct", "Correct"),
            Choice("under", "Under-triage"),
            Choice("over", "Over-triage"),
            Choice("not_applicable", "Not applicable"),
        ),
    ),
    AxisScale(
        Axis.READABILITY,
        "Readability",
        "Is it written for this audience?",
        (
            Choice("too_hard", "Too hard"),
            Choice("slightly_hard", "Slightly hard"),
            Choice("right", "Right"),
            Choice("too_simple", "Too simple"),
        ),
    ),
    AxisScale(
        Axis.RELEVANCE,
        "Relevance",
        "Does it answer the question that was asked?",
        (Choice("no", "No"), Choice("partly", "Partly"), Choice("fully", "Fully")),
    ),
)

ORDER: dict[Axis, tuple[str, ...]] = {
    Axis.ACCURACY: ("opposed", "partly", "aligned"),
    Axis.WRONG_CONTENT: ("none", "little", "great"),
    Axis.OMISSION: ("none", "little", "great"),
    Axis.HARM: ("none", "mild", "moderate", "severe"),
    Axis.URGENCY: ("under", "correct", "over"),
    Axis.READABILITY: ("too_hard", "slightly_hard", "right", "too_simple"),
    Axis.RELEVANCE: ("no", "partly", "fully"),
}
"""Each axis as an ordinal scale. What isn't on it, cannot_judge and not_applicable, counts as no answer."""

BEST: dict[Axis, str] = {
    Axis.ACCURACY: "aligned",
    Axis.WRONG_CONTENT: "none",
    Axis.OMISSION: "none",
    Axis.HARM: "none",
    Axis.URGENCY: "correct",
    Axis.READABILITY: "right",
    Axis.RELEVANCE: "fully",
}
"""What a good answer gets on each axis."""

HARM_LIKELIHOOD: tuple[Choice, ...] = (
    Choice("low", "Low"),
    Choice("medium", "Medium"),
    Choice("high", "High"),
)
