"""A release, a version and its figures in words, the same on the page and on a terminal."""

from db.vocabulary import ReleaseAction
from elara_ui.services.canary import Rate, VersionFigures
from elara_ui.services.release_history import ReleaseRecord
from elara_ui.services.shares import Share

NOTHING = "none yet"


def describe_voice(adapter: str | None) -> str:
    """What answers."""
    return adapter or "base model"


def describe_action(record: ReleaseRecord) -> str:
    """What was done, in half a sentence."""
    before, after = describe_voice(record.before), describe_voice(record.after)
    share = f" on {record.share:.0%} of new conversations" if record.share is not None else ""
    match record.action:
        case ReleaseAction.PROMOTED:
            return f"{after} made live in place of {before}"
        case ReleaseAction.ROLLED_BACK:
            return f"back to {after} from {before}"
        case ReleaseAction.RETIRED:
            return f"{after} put aside"
        case ReleaseAction.CANARY_STARTED:
            return f"{after} tried{share}"
        case ReleaseAction.CANARY_STOPPED:
            return f"trial of {after}{share} stopped"


def describe_figures(figures: VersionFigures) -> list[tuple[str, str]]:
    """What came of one version's conversations: label and value with its 95 % interval."""
    return [
        ("Conversations", f"{figures.conversations:,}"),
        ("Answers", f"{figures.answers:,}"),
        ("Thumbs up", _share(figures.thumbs_up)),
        ("Accepted in review", _share(figures.accepted)),
        ("Judged severely harmful", _share(figures.severe)),
        ("Marked in review", _share(figures.flagged)),
        ("Soothed over a red flag", _share(figures.reassuring)),
        ("Reading grade, median", NOTHING if figures.grade is None else f"{figures.grade:.1f}"),
        ("Within the reading target", _share(figures.within)),
        ("Tokens a second", _rate(figures.speed)),
    ]


def _share(share: Share | None) -> str:
    if share is None:
        return NOTHING
    return f"{share.value:.0%} of {share.units:,} ({share.low:.0%} to {share.high:.0%})"


def _rate(rate: Rate | None) -> str:
    return NOTHING if rate is None else f"{rate.mean:.1f} ({rate.low:.1f} to {rate.high:.1f})"
