"""How the model is, in the page's header: pure functions from its status to HTML."""

from collections.abc import Sequence

from adapters.engines.base import EngineStats
from elara_ui.services.serving import ServingState, ServingStatus
from elara_ui.tabs.markup import escape


def render_serving(status: ServingStatus) -> str:
    """A quiet pill that names model and engine, with the figures as its tooltip; what is wrong unfolds."""
    match status.state:
        case ServingState.READY:
            return _render_ready(status)
        case ServingState.FAILED:
            return f'<div class="el-pill el-failed" role="alert">{escape(status.message)}</div>'
        case _:
            return _render_waiting(status.message, status.fraction)


def _render_waiting(message: str, fraction: float | None) -> str:
    share = "" if fraction is None else f" {fraction:.0%}"
    return f'<span class="el-pill el-waiting" role="status">{escape(message)}{share}</span>'


def describe_stats(stats: EngineStats) -> str:
    """What the engine has done, in a few sentences."""
    parts = [
        f"Up for {_duration(stats.seconds)} with {_count(stats.adapters, 'adapter')}.",
        f"{_count(stats.answered, 'answer')}, {stats.cancelled:,} stopped, {stats.failed:,} failed; "
        f"{stats.generated_tokens:,} tokens written.",
    ]
    if stats.prompt_tokens:
        parts.append(f"{stats.cached_tokens / stats.prompt_tokens:.0%} of all prompts was remembered.")
    waiting = "" if stats.waiting is None else f", {stats.waiting:,} waiting"
    parts.append(f"Now {stats.running:,} being written{waiting}.")
    return " ".join(parts)


def _render_ready(status: ServingStatus) -> str:
    name = status.choice.title if status.choice else "Ready"
    figures = f' title="Ready. {escape(describe_stats(status.stats))}"' if status.stats else ""
    look = "el-waiting" if status.warnings else "el-ready"
    pill = f'<span class="el-pill {look}"{figures}>{escape(name)}</span>'
    if status.is_switching and status.switching:
        coming = f"{status.switching.choice.title}: {_lower(status.switching.message)}"
        pill += _render_waiting(coming, status.switching.fraction)
    return pill + _render_warnings(status.warnings)


def _render_warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    first = warnings[0].split(". ")[0].rstrip(".")
    more = f", and {len(warnings) - 1} more" if len(warnings) > 1 else ""
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return (
        f'<details class="el-pill el-failed el-troubles" role="status"><summary>{escape(first)}{more}'
        f"</summary><ul>{items}</ul></details>"
    )


def _lower(sentence: str) -> str:
    """A sentence as the end of another."""
    return sentence[:1].lower() + sentence[1:]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _duration(seconds: float) -> str:
    if seconds < 5400:
        return _count(max(1, round(seconds / 60)), "minute")
    return _count(round(seconds / 3600), "hour") if seconds < 129_600 else f"{seconds / 86_400:.0f} days"
