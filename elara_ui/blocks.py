"""The page: header, tabs, and what ties them together."""

import logging
from collections.abc import Sequence
from typing import Any

import gradio as gr
from starlette.routing import BaseRoute

from elara_ui.errors import EngineError
from elara_ui.services import Services
from elara_ui.services.serving import ServingState
from elara_ui.settings import Settings
from elara_ui.tabs.adjudication import build_adjudication_tab
from elara_ui.tabs.chat import build_chat_tab
from elara_ui.tabs.chat_handlers import ChatHandlers
from elara_ui.tabs.datasets import build_datasets_tab
from elara_ui.tabs.evaluation import EvaluationTab, build_evaluation_tab
from elara_ui.tabs.finetune import FinetuneTab, build_finetune_tab
from elara_ui.tabs.insights import build_insights_tab
from elara_ui.tabs.models import build_models_tab
from elara_ui.tabs.parts import components_of
from elara_ui.tabs.privacy_handlers import make_leave
from elara_ui.tabs.release import build_release_tab
from elara_ui.tabs.release_handlers import ReleaseHandlers
from elara_ui.tabs.review import build_review_tab
from elara_ui.tabs.serving_view import render_serving
from elara_ui.theme import build_theme, read_stylesheet

log = logging.getLogger(__name__)

CARE_NOTICE = "<strong>Not for care.</strong> Explains; doesn't diagnose or treat."
CARE_MORE = " The small embedded model is for trying it, and it makes mistakes."
"""Where the window is too narrow for both in one line, the first stays."""
REVIEWER_KEY = "elara-reviewer"
"""Under which the browser keeps who reviews and settles from one visit to the next; it is no secret."""
SERVING_POLL_SECONDS = 1.0
CALM_POLL_SECONDS = 15.0  # another machine may be lost, or somebody may switch to another model, at any time
RUN_POLL_SECONDS = 2.0
LAUNCH_TRIES = 3
PRIVATE = (
    *("elara.sqlite3", "models", "adapters", "runs", "snapshots", "evaluation", "recipes", "exports"),
    "backups",
)
"""What of ELARA_HOME the file routes refuse, whatever else they would allow."""

THEME_SCRIPT = """
() => {
  const stored = localStorage.getItem('elara-theme');
  if (stored) document.body.classList.toggle('dark', stored === 'dark');
}
"""

HEADER_SCRIPT = """
element.addEventListener('click', (event) => {
  if (!event.target.closest('.el-theme')) return;
  const dark = document.body.classList.toggle('dark');
  localStorage.setItem('elara-theme', dark ? 'dark' : 'light');
});
let unfolded = false;  // painting the header again folds what is wrong: unfold it for whoever reads
element.addEventListener('click', (event) => {
  const summary = event.target.closest('.el-troubles summary');
  if (summary) unfolded = !summary.parentElement.open;
});
element.addEventListener('toggle', (event) => { event.target.open = unfolded; }, true);
"""


def build_page(services: Services) -> gr.Blocks:
    """Put the page together.

    Args:
        services: what its handlers call.

    Returns:
        The blocks, not launched.
    """
    with gr.Blocks(
        title="Elara", analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)
    ) as page:
        reviewer = gr.BrowserState("", storage_key=REVIEWER_KEY, secret=REVIEWER_KEY)
        header = gr.HTML(render_header(services), js_on_load=HEADER_SCRIPT)
        gr.HTML(render_care(), elem_classes="el-care-bar")
        with gr.Tabs():
            with gr.Tab("Chat", id="chat") as chat_tab:
                chat = build_chat_tab(services)
            with gr.Tab("Review", id="review") as review_tab:
                review = build_review_tab(services, reviewer)
            with gr.Tab("Adjudicate", id="adjudicate") as adjudication_tab:
                adjudication = build_adjudication_tab(services, reviewer)
            with gr.Tab("Insights", id="insights") as insights_tab:
                insights = build_insights_tab(services)
            with gr.Tab("Datasets", id="datasets") as datasets_tab:
                datasets = build_datasets_tab(services, reviewer)
            with gr.Tab("Fine-tune", id="finetune") as finetune_tab:
                finetune = build_finetune_tab(services, reviewer)
            with gr.Tab("Models", id="models") as models_tab:
                models = build_models_tab(services)
            with gr.Tab("Evaluate", id="evaluate") as evaluation_tab:
                evaluation = build_evaluation_tab(services, reviewer)
            with gr.Tab("Release", id="release") as release_tab:
                release = build_release_tab(services)
        serving_poll, run_poll = gr.Timer(SERVING_POLL_SECONDS), gr.Timer(RUN_POLL_SECONDS, active=False)
        evaluation_poll = gr.Timer(RUN_POLL_SECONDS, active=False)
        served = gr.State(services.serving.base_model)
        gr.on(  # where somebody switches the header follows at once; other pages see it at their next look
            [serving_poll.tick, models.serving.parts.answers.change],
            lambda: watch_serving(services),
            None,
            [header, serving_poll, served],
            show_progress="hidden",
        )
        _wire_chat(page, chat, finetune, release, served)
        page.unload(make_leave(services))
        review_tab.select(
            review.choose,
            review.inputs,
            components_of(review.parts),
            show_progress="hidden",
        )
        adjudication_tab.select(
            adjudication.refresh,
            [reviewer, adjudication.parts.state],
            components_of(adjudication.parts),
            show_progress="hidden",
        )
        insights_tab.select(
            insights.refresh,
            components_of(insights.parts.filters),
            components_of(insights.parts),
            show_progress="hidden",
        )
        datasets_tab.select(
            datasets.refresh,
            [reviewer, datasets.parts.state, datasets.parts.rows.show, *datasets.parts.rules.inputs],
            components_of(datasets.parts),
            show_progress="hidden",
        )
        models_tab.select(
            models.refresh,
            models.inputs,
            models.outputs,
            show_progress="hidden",
        )
        release_tab.select(
            release.refresh,
            [reviewer, *release.parts.chosen],
            components_of(release.parts),
            show_progress="hidden",
        )
        _wire_runs(finetune_tab.select, run_poll.tick, finetune)
        _wire_evaluation(evaluation_tab.select, evaluation_poll.tick, evaluation)
        tabs = (
            chat_tab,
            review_tab,
            adjudication_tab,
            insights_tab,
            datasets_tab,
            finetune_tab,
            models_tab,
            evaluation_tab,
            release_tab,
        )
        _poll_while_open(finetune_tab, run_poll, tabs)
        _poll_while_open(evaluation_tab, evaluation_poll, tabs)
    return page


def _wire_chat(
    page: gr.Blocks, chat: ChatHandlers, finetune: FinetuneTab, release: ReleaseHandlers, served: gr.State
) -> None:
    """Fill the chat when the page opens, and paint it again when another adapter or base model answers."""
    page.load(None, None, None, js=THEME_SCRIPT)
    promoted = [finetune.adapters.parts.promoted.change, release.parts.promoted.change]
    gr.on(
        [page.load, *promoted, served.change],
        chat.refresh,
        [chat.parts.main.audience, chat.parts.state],
        components_of(chat.parts),
        show_progress="hidden",
    )


def _poll_while_open(opened: gr.Tab, poll: gr.Timer, tabs: Sequence[gr.Tab]) -> None:
    """Let a timer run while its tab is looked at, and rest in every other."""
    for tab in tabs:
        turn_on = tab is opened
        tab.select(
            (lambda: gr.Timer(active=True)) if turn_on else (lambda: gr.Timer(active=False)),
            None,
            poll,
            show_progress="hidden",
        )


def _wire_runs(opened: Any, ticked: Any, finetune: FinetuneTab) -> None:
    """Paint runs, adapters and a lesson anew when the tab opens and as time goes; the form when it opens."""
    runs, adapters = finetune.runs, finetune.adapters
    gr.on(
        [opened, ticked],
        runs.refresh,
        [runs.parts.state, runs.parts.painted],
        components_of(runs.parts),
        show_progress="hidden",
    )
    form = finetune.form
    opened(form.refresh, None, components_of(form.parts), show_progress="hidden")
    gr.on(
        [opened, ticked],
        adapters.refresh,
        [adapters.parts.shown],
        components_of(adapters.parts),
        show_progress="hidden",
    )
    gr.on(
        [opened, ticked],
        finetune.teaching.refresh,
        [finetune.teaching.parts.seen],
        components_of(finetune.teaching.parts),
        show_progress="hidden",
    )


def _wire_evaluation(opened: Any, ticked: Any, evaluation: EvaluationTab) -> None:
    """Paint evaluations anew when the tab opens and as time goes."""
    parts = evaluation.main.parts
    gr.on(
        [opened, ticked],
        evaluation.main.refresh,
        [parts.state, parts.painted],
        components_of(parts),
        show_progress="hidden",
    )


def launch_page(
    page: gr.Blocks, settings: Settings, *, routes: Sequence[BaseRoute] = (), wait: bool = True
) -> str:
    """Serve the page, closed by default.

    Nothing on disk is offered for download (files go from the event's answer to the browser), names are
    checked against cross-site requests, and no tunnel, remote-tool server or Node process is opened.

    Args:
        page: from `build_page`.
        settings: address and upload limit.
        routes: addresses beside the page, as of the HTTP API; they go before the page's own.
        wait: block until interrupted.

    Returns:
        The page's address.

    Raises:
        EngineError: the page doesn't answer on this machine.
    """
    page.queue(max_size=256, api_open=False)
    address = _launch(
        page,
        server_name=settings.host,
        server_port=settings.port,
        share=False,
        ssr_mode=False,
        mcp_server=False,
        strict_cors=True,
        enable_monitoring=False,
        allowed_paths=[],
        blocked_paths=[str(settings.folders.root / name) for name in PRIVATE],
        max_file_size=settings.max_upload_mb * 1024 * 1024,
        show_error=False,
        footer_links=[],
        quiet=True,
        prevent_thread_lock=True,
        theme=build_theme(),
        css=read_stylesheet(),
        app_kwargs={"routes": list(routes)},
    )
    print(f"Elara is at {address}", flush=True)
    if wait:
        page.block_thread()
    return str(address)


def _launch(page: gr.Blocks, **options: Any) -> str:
    """Launch, more than once where the machine is too busy for its own page.

    Gradio asks the page for an answer within 3 s, once, and gives up without one.
    """
    for tries_left in reversed(range(LAUNCH_TRIES)):
        try:
            return str(page.launch(**options)[1])
        except ValueError as error:
            page.close()
            if "localhost" not in str(error):
                raise
            log.warning("The page didn't answer within 3 s; tries left: %d.", tries_left)
    raise EngineError(
        "The page must answer on this machine within 3 s; at "
        f"{options['server_name']}:{options['server_port']} it didn't. Let NO_PROXY name localhost and "
        "127.0.0.1 if a proxy is set, or give the machine some rest, and start again."
    )


def watch_serving(services: Services) -> tuple[str, gr.Timer, str]:
    """The model's status, when to look again (closely while one comes up), and which base model answers."""
    status = services.serving.status
    calm = status.state is ServingState.READY and not status.is_switching
    pause = CALM_POLL_SECONDS if calm else SERVING_POLL_SECONDS
    return render_header(services), gr.Timer(pause), services.serving.base_model


def render_header(services: Services) -> str:
    """Name, how the model is, and the switch between light and dark."""
    return (
        f'<header class="el-header"><h1>Elara</h1>{render_serving(services.serving.status)}'
        '<button type="button" class="el-theme" aria-label="Switch between light and dark">'
        "Light / dark</button></header>"
    )


def render_care() -> str:
    """What the page is not for: a line that stays in sight however far one scrolls."""
    return f'<p class="el-care" role="note">{CARE_NOTICE}<span>{CARE_MORE}</span></p>'
