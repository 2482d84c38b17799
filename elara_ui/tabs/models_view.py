"""How base models look: pure functions from services' values to HTML."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.base_model import BaseModel, Weights
from adapters.machine import MachineMemory
from adapters.memory_fit import Fit, Recommendation, Window
from elara_ui.services.model_downloads import Download, DownloadState
from elara_ui.services.model_views import FormView, ModelView
from elara_ui.tabs.adapters_view import describe_size
from elara_ui.tabs.markup import button, escape

FORMS = {
    Weights.Q4: ("Q4", "about 4 bits a weight; llama.cpp"),
    Weights.Q8: ("Q8", "8 bits a weight; llama.cpp"),
    Weights.F16: ("F16", "16 bits a weight; llama.cpp"),
    Weights.FULL: ("Full", "safetensors; transformers, and for training"),
}
FITS = {
    Fit.FITS: ("fits", "There is memory for it now."),
    Fit.TIGHT: ("tight", "It fits only once other programs are closed."),
    Fit.TOO_LARGE: ("too large", "This machine hasn't as much memory."),
    Fit.UNKNOWN: ("not known", "Too little is known of its build to reckon its memory."),
}
GONE = (
    '<p class="el-muted">There is no model at that place any more. Put it back, or take it off the list.</p>'
)
HERE, ALL = "On this machine", "All"
ADDED = "Added"


@dataclass(frozen=True)
class Asked:
    """What a person pressed and has still to confirm.

    Args:
        act: ``delete``, ``download`` or ``serve``.
        model_id: of which model.
        weights: in which form.
        said: what there is to know before it is confirmed.
    """

    act: str
    model_id: str
    weights: Weights
    said: str


def item_of(model_id: str, weights: Weights) -> str:
    """What a button says that it is about; see `read_item`."""
    return f"{weights.value} {model_id}"


def read_item(item: str) -> tuple[str, Weights]:
    """Model and form of a button's item.

    Raises:
        ValueError: it is none.
    """
    weights, _, model_id = item.partition(" ")
    return model_id, Weights(weights)


def families_of(views: Sequence[ModelView]) -> list[str]:
    """What the list can be narrowed down to."""
    named = dict.fromkeys(_family(view) for view in views)
    return [ALL, HERE, *named]


def choose(views: Sequence[ModelView], family: str) -> list[ModelView]:
    """The models of a family; `ALL` takes every one, `HERE` those on this machine."""
    if family == HERE:
        return [view for view in views if view.is_here or any(form.download for form in view.forms)]
    return [view for view in views if family in (ALL, _family(view))]


def render_machine(machine: MachineMemory, window: Window) -> str:
    """What there is to put a model into."""
    card = "no NVIDIA graphics card"
    if machine.card is not None:
        card = (
            f"{escape(machine.card_name)} with {_gb(machine.card.total)}, {_gb(machine.card.available)} free"
        )
    conversations = f"{window.number} conversations" if window.number > 1 else "one conversation"
    return (
        f'<p class="el-muted">This machine has <b>{_gb(machine.main.total)}</b> of memory, '
        f"<b>{_gb(machine.main.available)}</b> of it free now, and {card}. Memory below is reckoned for "
        f"{conversations} of {window.tokens:,} tokens at once.</p>"
    )


def render_recommended(found: Sequence[Recommendation], views: Sequence[ModelView]) -> str:
    """The best models that fit, each with the form to have it in."""
    if not found:
        return (
            '<section class="el-models"><h3>Recommended for this machine</h3><p class="el-muted">'
            "No model larger than the embedded one fits the memory that is free now. Close other programs, or "
            "lower ELARA_CONTEXT_TOKENS or ELARA_SLOTS.</p></section>"
        )
    by_id = {view.model.id: view for view in views}
    cards = "".join(_render_card(each, by_id[each.model.id]) for each in found if each.model.id in by_id)
    return (
        '<section class="el-models"><h3>Recommended for this machine</h3><p class="el-muted">The largest of '
        "each family that answers instructions and fits the memory that is free now, and medical ones beside "
        f'them. None is approved for care.</p><div class="el-model-cards">{cards}</div></section>'
    )


def _render_card(found: Recommendation, view: ModelView) -> str:
    model = found.model
    form = next((form for form in view.forms if form.weights is found.weights), None)
    memory = f" · {_gb(form.need.total)} of memory" if form and form.need else ""
    kept = f", kept in {found.dtype}" if found.dtype not in ("auto", "bf16") else ""
    chip = '<span class="el-status">medical</span>' if model.medical else ""
    terms = " · has to be accepted" if model.gated else " · limits of use" if model.use_limits else ""
    return (
        f'<article class="el-model-pick"><div class="el-head"><b>{escape(model.title)}</b>{chip}</div>'
        f"<p>{FORMS[found.weights][0]}{kept}{memory}</p><p class='el-muted'>{escape(model.licence)}{terms}</p>"
        f"<div class='el-model-acts'>{_render_acts(form, model) if form else ''}"
        f"{button('Details', 'show', model.id)}</div></article>"
    )


def render_models(
    views: Sequence[ModelView], shown: str, asked: Asked | None, *, has_token: bool = False
) -> str:
    """The list, with one model opened.

    Args:
        views: those to show.
        shown: id of the opened one; empty for none.
        asked: what waits for its confirmation, told within that model.
        has_token: whether Elara has a token of the hub.
    """
    if not views:
        return '<p class="el-muted el-pad">No model here yet.</p>'
    rows = "".join(_render_row(view, view.model.id == shown, asked, has_token) for view in views)
    return f'<div class="el-model-list">{rows}</div>'


def _render_row(view: ModelView, opened: bool, asked: Asked | None, has_token: bool) -> str:
    model = view.model
    size = f"{_billions(model.parameters)} parameters" if model.parameters else "size not known"
    facts = " · ".join(part for part in (size, escape(model.licence) or "licence not told") if part)
    head = (
        f'<button type="button" class="el-act el-model-head" data-act="show" data-item="{escape(model.id)}" '
        f'aria-expanded="{str(opened).lower()}"><span class="el-model-name"><b>{escape(model.title)}</b>'
        f"<small>{facts}</small></span><span class='el-model-chips'>{_render_chips(view)}</span></button>"
    )
    body = _render_body(view, asked, has_token) if opened else ""
    return f'<section class="el-model" aria-label="{escape(model.title)}">{head}{body}</section>'


def _render_chips(view: ModelView) -> str:
    chips = []
    if view.served:
        chips.append('<span class="el-status el-live">answers now</span>')
    going = [form.download for form in view.forms if form.download and not form.download.state.ended]
    if going:
        chips.append(f'<span class="el-status el-running">{going[0].fraction:.0%}</span>')
    elif view.is_here and not view.served:
        chips.append('<span class="el-status el-succeeded">on this machine</span>')
    if view.model.medical:
        chips.append('<span class="el-status">medical</span>')
    if view.model.gated:
        chips.append('<span class="el-status" title="Terms must be accepted on its page">terms</span>')
    chips.append(_render_best(view))
    return "".join(chips)


def _render_body(view: ModelView, asked: Asked | None, has_token: bool) -> str:
    model = view.model
    own = asked if asked is not None and asked.model_id == model.id else None
    forms = "".join(_render_form(form, model) for form in view.forms) or GONE
    remove = f"<p>{button('Take off the list', 'forget', model.id)}</p>" if view.added else ""
    return (
        f'<div class="el-model-body">{_render_facts(view, has_token)}<div class="el-forms">{forms}</div>'
        f"{_render_asked(own) if own else ''}{remove}</div>"
    )


def _render_facts(view: ModelView, has_token: bool) -> str:
    model = view.model
    facts = {
        "About": model.notes,
        "Limits of use": model.use_limits,
        "Access": _describe_access(model, has_token),
        "Architecture": _describe_build(model),
        "Languages": model.languages,
        "Window": f"{model.context_tokens:,} tokens" if model.context_tokens else "",
        "Adapters": ", ".join(view.adapters),
        "Training": "" if model.trainable else "Elara doesn't train adapters on this architecture.",
        "GGUF files from": ", ".join(model.gguf),
        "Where": model.source if model.local else "",
    }
    items = "".join(f"<dt>{label}</dt><dd>{escape(text)}</dd>" for label, text in facts.items() if text)
    if model.hub_id:
        place = escape(f"https://huggingface.co/{model.hub_id}")
        link = f'<a href="{place}" target="_blank" rel="noopener noreferrer">{escape(model.hub_id)}</a>'
        items += f"<dt>Its page</dt><dd>{link}</dd>"
    return f'<dl class="el-facts">{items}</dl>'


def _render_form(form: FormView, model: BaseModel) -> str:
    name, what = FORMS[form.weights]
    memory = f"{_gb(form.need.total)} of memory" if form.need else "memory not known"
    size = ""
    if form.size:
        size = f"{'' if form.stored else 'about '}{describe_size(form.size)} on disk"
    progress = _render_download(form.download) if form.download else ""
    if not progress and form.brought:
        progress = f'<p class="el-muted">{describe_size(form.brought)} have come; downloading goes on from there.</p>'
    return (
        f'<div class="el-form-row"><div><b>{name}</b> <small>{what}</small></div>'
        f"<div>{memory} {_render_fit(form.fit)}<br><small>{size}</small></div>"
        f'<div class="el-model-acts">{_render_acts(form, model)}</div>{progress}</div>'
    )


def _render_acts(form: FormView, model: BaseModel) -> str:
    """What can be done with a form: serve and delete it where it is, else download it or stop that."""
    item = item_of(model.id, form.weights)
    going = form.download is not None and not form.download.state.ended
    if form.served:
        return '<span class="el-done">answers now</span>'
    if going:
        return button("Cancel", "cancel", item, title="Stop; what has come is kept")
    if form.stored is not None or model.embedded:
        delete = button("Delete", "delete", item) if form.stored and form.stored.own and model.hub_id else ""
        return button("Serve", "serve", item) + (delete if not model.embedded else "")
    again = "Go on" if form.brought else "Download"
    clear = button("Delete", "delete", item, title="Delete what has come") if form.brought else ""
    return button(again, "download", item) + clear


def _render_download(download: Download) -> str:
    match download.state:
        case DownloadState.FAILED:
            return f'<div class="el-notice el-error" role="alert">{escape(download.message)}</div>'
        case DownloadState.DONE:
            return ""
        case DownloadState.STOPPED:
            return f'<p class="el-muted">Stopped at {download.fraction:.0%}; what has come is kept.</p>'
        case DownloadState.ASKING:
            said = "Asking the hub …"
        case DownloadState.STOPPING:
            said = "Stopping …"
        case DownloadState.RUNNING:
            speed = f" · {describe_size(int(download.speed))}/s" if download.speed else ""
            said = (
                f"{describe_size(download.done)} of {describe_size(download.total)}{speed}{_left(download)}"
            )
    percent = f"{download.fraction:.0%}"
    return (
        f'<div class="el-form-progress"><div class="el-progress" role="progressbar" aria-valuenow="{percent[:-1]}" '
        f'aria-valuemin="0" aria-valuemax="100" aria-label="Download"><span style="width:{percent}"></span></div>'
        f"<small>{said}</small></div>"
    )


def _left(download: Download) -> str:
    if not download.speed:
        return ""
    seconds = (download.total - download.done) / download.speed
    minutes = max(1, round(seconds / 60))
    return f" · {minutes} min left" if seconds >= 60 else " · less than a minute left"


def _render_asked(asked: Asked) -> str:
    """What there is to know, and two buttons."""
    item = item_of(asked.model_id, asked.weights)
    yes = {
        "delete": "Delete them",
        "download": "I have read and accept them: download",
        "serve": "Serve it all the same",
    }[asked.act]
    return (
        f'<div class="el-notice el-warn" role="alert"><p>{escape(asked.said)}</p><div class="el-model-acts">'
        f"{button(yes, f'confirm-{asked.act}', item)}{button('Leave it', 'leave', item)}</div></div>"
    )


def _render_fit(fit: Fit) -> str:
    words, title = FITS[fit]
    return f'<span class="el-fit el-fit-{fit.name.lower()}" title="{title}">{words}</span>'


def _render_best(view: ModelView) -> str:
    """The form to look at first: of those that fit the largest, else the smallest there is."""
    forms = [form for form in view.forms if form.need is not None and form.weights.is_gguf] or list(
        view.forms
    )
    if not forms:
        return _render_fit(Fit.UNKNOWN)
    fitting = [form for form in forms if form.fit is Fit.FITS]
    best = fitting[-1] if fitting else forms[0]
    memory = f"<small>{FORMS[best.weights][0]}, {_gb(best.need.total)}</small>" if best.need else ""
    return f"{memory} {_render_fit(best.fit)}"


def _describe_access(model: BaseModel, has_token: bool) -> str:
    if not model.gated:
        return ""
    token = "one is set." if has_token else "none is set."
    return (
        "Its makers' files are handed out to accounts that have accepted the terms on its page. Elara shows "
        f"the hub the token in HF_TOKEN; {token}"
    )


def _describe_build(model: BaseModel) -> str:
    if model.shape is None:
        return model.architecture
    shape = model.shape
    return f"{model.architecture or 'not known'}: {shape.layers} layers, width {shape.width:,}"


def _family(view: ModelView) -> str:
    return view.model.family or (ADDED if view.added else "Others")


def _billions(parameters: int) -> str:
    if parameters < 1_000_000_000:
        return f"{parameters / 1e6:.0f} million"
    return f"{parameters / 1e9:.1f} billion"


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
