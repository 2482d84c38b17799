"""The datasets tab: from judgements to training sets. Builds and wires; decides nothing."""

import gradio as gr

from db.curation_rules import CurationRules, Objective
from db.vocabulary import RUBRIC, Disposition, ReviewFlag
from elara_ui.services import Services
from elara_ui.tabs.datasets_handlers import DatasetsHandlers
from elara_ui.tabs.datasets_parts import (
    DatasetsParts,
    DatasetsState,
    FreezeParts,
    RowParts,
    RuleParts,
    SetParts,
)
from elara_ui.tabs.datasets_push import SnapshotShelf
from elara_ui.tabs.datasets_view import NOT_CHECKED
from elara_ui.tabs.hub_push import build_hub_push
from elara_ui.tabs.markup import ACT_SCRIPT
from elara_ui.tabs.parts import components_of, settled

OBJECTIVES = [
    ("Imitate what was accepted (SFT)", Objective.SFT.value),
    ("Prefer the better of two (DPO)", Objective.DPO.value),
    ("Wanted or not (KTO)", Objective.KTO.value),
]


def build_datasets_tab(services: Services, reviewer: gr.BrowserState) -> DatasetsHandlers:
    """Build the tab's components and wire them.

    Args:
        services: the use-cases it calls.
        reviewer: who reviews in this browser: what they are still to judge blind isn't shown.
    """
    state = gr.State(DatasetsState())
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            rules = _build_rules(services)
        with gr.Column(scale=6, min_width=300):
            rows = _build_rows()
            freezing = _build_freezing()
    parts = DatasetsParts(state, rules, rows, freezing, _build_sets())
    build_hub_push(SnapshotShelf(services), parts.sets.shown, "dataset-push")
    handlers = DatasetsHandlers(services, parts)
    _wire(handlers, parts, reviewer)
    return handlers


def _build_rules(services: Services) -> RuleParts:
    usual = CurationRules()
    objective = gr.Radio(
        OBJECTIVES, value=usual.objective.value, label="Learn to", elem_id="dataset-objective"
    )
    audiences = gr.CheckboxGroup(
        [(recipe.title, recipe.audience) for recipe in services.recipes.values()],
        label="Audiences",
        info="None ticked means all.",
        elem_id="dataset-audiences",
    )
    with gr.Row():
        accepting = gr.Number(
            usual.min_accepting, precision=0, minimum=1, label="Accepted by at least",
            info="Reviewers who let it in.", min_width=130,
        )  # fmt: skip
        rejecting = gr.Number(
            usual.max_rejecting, precision=0, minimum=0, label="Rejected by at most",
            info="A veto counts in any case.", min_width=130,
        )  # fmt: skip
    verdicts = gr.CheckboxGroup(
        [("Accept", Disposition.ACCEPT.value), ("Accept with edit", Disposition.ACCEPT_WITH_EDIT.value)],
        value=[str(each) for each in usual.dispositions],
        label="Verdicts that let an answer in",
    )
    with gr.Accordion("Ratings", open=False, elem_classes="el-fields"):
        gr.HTML('<p class="el-muted el-pad">Of answers taken as they are. Nothing chosen means any.</p>')
        axes = tuple(
            gr.Dropdown(
                [(choice.label, choice.value) for choice in scale.choices],
                multiselect=True, value=[], label=scale.title, min_width=160,
            )
            for scale in RUBRIC
        )  # fmt: skip
        flags = gr.CheckboxGroup(
            [(_words(flag), flag.value) for flag in ReviewFlag if flag is not ReviewFlag.IDENTIFIERS],
            label="Flags that keep an answer out",
            info="Identifiers always do.",
        )
    with gr.Accordion("What answered, and when", open=False, elem_classes="el-fields"):
        adapters = _several("Adapters", "“base” is the base model alone.")
        models = _several("Base models")
        batches = _several("Batches", "Sent to review together.")
        since = gr.Textbox(label="Answers since", placeholder="2026-01-31", max_lines=1)
        until = gr.Textbox(label="Answers until", placeholder="2026-12-31", max_lines=1)
    with gr.Accordion("Who judged", open=False, elem_classes="el-fields"):
        reviewers, without = _several("Only by"), _several("Not by")
        verified = gr.Checkbox(label="Verified reviewers only")
    with gr.Accordion("The set", open=False, elem_classes="el-fields"):
        fraction = gr.Number(
            usual.eval_fraction, minimum=0, maximum=0.5, step=0.05, label="Held-out share",
            info="Whole clusters of alike questions, chosen first.",
        )  # fmt: skip
        thumbs = gr.Checkbox(
            usual.thumbs, label="Readers' thumbs", info="KTO only; on answers that nobody has reviewed."
        )
    return RuleParts(
        (audiences, adapters, models, batches, verdicts, flags, reviewers, without),
        (objective, accepting, rejecting, verified, thumbs, since, until, fraction),
        axes,
    )


def _several(label: str, info: str | None = None) -> gr.Dropdown:
    return gr.Dropdown([], multiselect=True, value=[], label=label, info=info, min_width=160)


def _build_rows() -> RowParts:
    count = gr.HTML(elem_id="dataset-count")
    show = gr.Radio(
        [("In the set", "in"), ("Left out", "out"), ("Both", "all")],
        value="in",
        show_label=False,
        container=False,
        elem_classes="el-segments",
        elem_id="dataset-show",
    )
    reason = gr.Textbox(
        label="Why you include or exclude one by hand",
        placeholder="Kept with the set, for whoever asks later.",
        max_lines=1,
        max_length=300,
        elem_id="dataset-reason",
    )
    message = gr.HTML(elem_id="dataset-row-message")
    rows = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="dataset-rows")
    with gr.Row():
        back = gr.Button("Back", size="sm", interactive=False, min_width=80)
        more = gr.Button("More", size="sm", interactive=False, min_width=80)
    return RowParts(count, show, reason, message, rows, back, more)


def _build_freezing() -> FreezeParts:
    check = gr.Button("Check the selection", elem_id="check-dataset", variant="primary")
    report = gr.HTML(NOT_CHECKED, elem_id="dataset-check")
    leave = gr.Checkbox(label="Leave out the rows that share prompts with evaluation sets", visible=False)
    accept = gr.Checkbox(label="I have looked at what was found; it may stay", visible=False)
    with gr.Row(equal_height=True, elem_classes="el-freeze-row"):
        name = gr.Textbox(
            label="Name", placeholder="patient-plain-words", max_lines=1, max_length=100, scale=3,
            min_width=160, elem_id="dataset-name",
        )  # fmt: skip
        freeze = gr.Button("Freeze", elem_id="freeze-dataset", min_width=120, interactive=False)
    message = gr.HTML(elem_id="dataset-message")
    return FreezeParts(check, report, leave, accept, name, freeze, message)


def _build_sets() -> SetParts:
    listing = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="datasets")
    confirm = gr.Checkbox(
        label="Likely identifiers in an exported set were looked at and may leave", visible=False
    )
    message = gr.HTML(elem_id="datasets-message")
    details = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="dataset-details")
    return SetParts(listing, message, details, confirm, gr.State(""))


def _words(value: str) -> str:
    return value.replace("_", " ").capitalize()


def _wire(handlers: DatasetsHandlers, parts: DatasetsParts, reviewer: gr.BrowserState) -> None:
    rules, rows, freezing = parts.rules, parts.rows, parts.freezing
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    looking = [reviewer, parts.state, rows.show, *rules.inputs]
    gr.on(
        [part.input for part in (rows.show, *rules.inputs)],
        handlers.change,
        looking,
        trigger_mode="always_last",
        **common,
    )
    rows.more.click(handlers.more, looking, **common)
    rows.back.click(handlers.back, looking, **common)
    rows.list.act(handlers.pick, [rows.reason, *looking], **common)
    freezing.check.click(settled(handlers.check, parts.state), looking, **(common | {"concurrency_limit": 1}))
    gr.on(
        [freezing.freeze.click, freezing.name.submit],
        settled(handlers.freeze, parts.state),
        [freezing.name, freezing.accept, freezing.leave_out, *looking],
        **(common | {"concurrency_limit": 1}),
    )
    for source in (parts.sets.list, parts.sets.details):
        source.act(handlers.act, [parts.sets.confirm, reviewer, parts.state], **common)
