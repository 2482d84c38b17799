"""The fine-tune tab: the form on one side; the runs and what came of them on the other."""

from dataclasses import dataclass

import gradio as gr

from elara_ui.services import Services
from elara_ui.tabs.adapters import AdapterHandlers, build_adapters
from elara_ui.tabs.hub_push import AdapterShelf, build_hub_push
from elara_ui.tabs.parts import components_of
from elara_ui.tabs.runs import RunHandlers, build_runs
from elara_ui.tabs.teaching import TeachingHandlers, build_teaching
from elara_ui.tabs.training_form import build_training_form
from elara_ui.tabs.training_form_handlers import FormHandlers
from elara_ui.tabs.transfer import build_transfer


@dataclass(frozen=True)
class FinetuneTab:
    """What the page needs of the tab: each part's behaviour and components."""

    form: FormHandlers
    runs: RunHandlers
    adapters: AdapterHandlers
    teaching: TeachingHandlers


def build_finetune_tab(services: Services, reviewer: gr.BrowserState) -> FinetuneTab:
    """Build the tab's parts and let the runs follow what the form starts.

    Args:
        services: the use-cases it calls.
        reviewer: who reviews in this browser: what they are still to judge blind isn't shown.
    """
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300):
            form = build_training_form(services, reviewer)
        with gr.Column(scale=5, min_width=300):
            runs = build_runs(services)
            transfer = build_transfer(services, runs.parts.painted)
            teaching = build_teaching(services)
    adapters = build_adapters(services)
    build_hub_push(AdapterShelf(services), adapters.parts.shown, "hub-push")
    for launched in (form.parts.launching.launched, transfer.parts.launched):
        launched.change(
            runs.look_at,
            [launched, runs.parts.state],
            components_of(runs.parts),
            show_progress="hidden",
        )
    return FinetuneTab(form, runs, adapters, teaching)
