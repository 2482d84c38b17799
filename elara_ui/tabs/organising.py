"""The part of the review tab for whoever runs the reviewing: what is judged, and by what measure.

It shows what reviewers mustn't see, known judgements above all: who marks an answer shouldn't review it.
"""

import gradio as gr

from elara_ui.services import Services
from elara_ui.tabs.answer_import import build_answer_import
from elara_ui.tabs.known_answers import build_known_answers
from elara_ui.tabs.pair_batches import build_pair_batches
from elara_ui.tabs.parts import components_of
from elara_ui.tabs.withdrawal import build_withdrawal
from elara_ui.tabs.withdrawal_view import ELSEWHERE


def build_organising(services: Services) -> None:
    """Build the sections and wire them; each is painted anew whenever it is opened."""
    with gr.Tabs(elem_id="organising"):
        with gr.Tab("Import", id="import"):
            build_answer_import(services)
        with gr.Tab("Comparisons", id="pairs") as pairs_tab:
            pairs = build_pair_batches(services)
        with gr.Tab("Known answers", id="known") as known_tab:
            known = build_known_answers(services)
        with gr.Tab("Withdraw", id="withdraw") as withdraw_tab:
            withdrawal = build_withdrawal(services) if services.settings.is_local else None
            if withdrawal is None:
                gr.HTML(ELSEWHERE)
    common = {"show_progress": "hidden", "concurrency_limit": None}
    pairs_tab.select(pairs.refresh, pairs.chosen, components_of(pairs.parts), **common)
    known_tab.select(known.refresh, [known.parts.search], components_of(known.parts), **common)
    if withdrawal is not None:
        withdraw_tab.select(withdrawal.refresh, None, components_of(withdrawal.parts), **common)
