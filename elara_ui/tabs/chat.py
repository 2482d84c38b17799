"""The chat tab: conversations at the side, the thread and the composer. Builds and wires; decides nothing."""

from collections.abc import Mapping

import gradio as gr

from adapters.engines.base import Sampling
from adapters.recipe import Recipe
from elara_ui.services import Services
from elara_ui.services.questions import SAMPLING_LIMITS
from elara_ui.tabs.chat_handlers import ChatHandlers
from elara_ui.tabs.chat_parts import ChatParts, ChatState, MainParts, SideParts
from elara_ui.tabs.compare import build_compare
from elara_ui.tabs.first_use import FirstUse, build_first_use
from elara_ui.tabs.markup import ACT_SCRIPT, DOWNLOAD_SCRIPT
from elara_ui.tabs.parts import components_of, settled
from elara_ui.tabs.privacy_handlers import PrivacyHandlers
from elara_ui.tabs.private_view import SWITCH_LABEL
from elara_ui.tabs.readability_meter import KEEP_OPEN_SCRIPT
from elara_ui.tabs.red_flag_view import ALARM_SCRIPT
from elara_ui.tabs.side_handlers import SideHandlers

SAMPLING_HELP = (
    ("temperature", "Temperature", "0 always takes the likeliest word; higher varies more.", 0.05),
    ("repetition_penalty", "Repetition penalty", "Above 1 discourages saying the same again.", 0.05),
    ("top_p", "Top-p", "Considers only the likeliest words that together reach this share.", 0.01),
    ("max_new_tokens", "Most new tokens", "Bounds the answer; about 4 tokens make 3 words.", 1),
)  # fmt: skip

FOLLOW_SCRIPT = (
    ALARM_SCRIPT
    + """
watch('value', () => {
  const box = element.closest('.el-scroll');
  if (!box || !box.querySelector('.el-turn') || followAlarm(box)) return;
  if (box.scrollHeight - box.scrollTop - box.clientHeight < 260) box.scrollTop = box.scrollHeight;
});
"""
)
"""Keeps the newest words in sight, unless the reader has scrolled up."""


def build_chat_tab(services: Services) -> ChatHandlers:
    """Build the tab's components and wire them.

    Args:
        services: the use-cases it calls.

    Returns:
        The tab's handlers, with which the page fills it when it opens.
    """
    state = gr.State(ChatState())
    with gr.Row(elem_classes="el-chat"):
        with gr.Column(scale=1, min_width=240, elem_classes="el-side"):
            side = _build_side()
        with gr.Column(scale=4, min_width=300, elem_classes="el-main"):
            main, first_use = _build_main(services.recipes)
            compared = build_compare(services, state)
    parts = ChatParts(state, side, main)
    handlers = ChatHandlers(services, parts)
    side_handlers = SideHandlers(services, handlers)
    privacy = PrivacyHandlers(services, handlers, side_handlers)
    first_use.wire(main.audience, [main.message.submit, main.send.click])  # first: it goes before the answer
    _wire_composer(handlers, privacy, parts)
    _wire_side(side_handlers, parts)
    _wire_privacy(privacy, parts)
    compared.sent.change(
        handlers.refresh, [main.audience, state], components_of(parts), show_progress="hidden"
    )
    return handlers


def _build_side() -> SideParts:
    new = gr.Button("New conversation", variant="primary", size="md")
    search = gr.Textbox(placeholder="Search", label="Search conversations", show_label=False, container=False)
    listing = gr.HTML(js_on_load=ACT_SCRIPT, elem_classes="el-list-box")
    with gr.Accordion("This conversation", open=False, visible=False) as manage:
        title = gr.Textbox(label="Title", max_lines=1, max_length=200)
        rename = gr.Button("Rename", size="sm")
        form = gr.Radio([("Markdown", "markdown"), ("JSON", "json")], value="markdown", label="Save as")
        export = gr.Button("Download", size="sm")
        delete = gr.Button("Delete…", size="sm")
        confirm = gr.Button("Yes, delete for good", variant="stop", size="sm", visible=False)
    download = gr.HTML(js_on_load=DOWNLOAD_SCRIPT, elem_classes="el-invisible")
    return SideParts(new, search, listing, manage, title, rename, form, export, delete, confirm, download)


def _build_main(recipes: Mapping[str, Recipe]) -> tuple[MainParts, FirstUse]:
    first = next(iter(recipes.values()))
    audience = gr.Radio(
        [(recipe.title, recipe.audience) for recipe in recipes.values()],
        value=first.audience,
        label="Who is the answer for?",
        elem_classes="el-segments",
    )
    with gr.Row(elem_classes="el-answering-row"):
        answering = gr.HTML(elem_classes="el-answering", min_width=260)
        private = gr.Checkbox(label=SWITCH_LABEL, container=False, elem_id="private", min_width=260)
    private_note = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="private-note")
    first_use = build_first_use()
    with gr.Column(elem_classes="el-scroll", elem_id="thread"):
        thread = gr.HTML(js_on_load=ACT_SCRIPT + FOLLOW_SCRIPT + KEEP_OPEN_SCRIPT)
        live = gr.HTML(js_on_load=FOLLOW_SCRIPT)
    caution = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="caution")
    with gr.Row(elem_classes="el-composer"):
        message = gr.Textbox(
            placeholder="Ask a health question",
            label="Your question",
            show_label=False,
            container=False,
            lines=1,
            max_lines=8,
            scale=8,
            elem_id="question",
            autofocus=True,
        )
        send = gr.Button("Send", variant="primary", scale=1, min_width=88, elem_id="send")
        stop = gr.Button("Stop", variant="stop", scale=1, min_width=88, visible=False, elem_id="stop")
    with gr.Accordion("Sampling", open=False):
        sampling = _build_sampling(first.sampling)
    main = MainParts(
        audience, answering, private, private_note, thread, live, caution, message, send, stop, sampling
    )
    return main, first_use


def _build_sampling(defaults: Sampling) -> tuple[gr.components.Component, ...]:
    with gr.Row():
        sliders = [
            gr.Slider(
                *SAMPLING_LIMITS[name], value=getattr(defaults, name), step=step, label=label, info=help_text
            )
            for name, label, help_text, step in SAMPLING_HELP
        ]
        seed = gr.Number(-1, label="Seed", info="−1 draws afresh each time.", precision=0, minimum=-1)
    return (*sliders, seed)


def _wire_composer(handlers: ChatHandlers, privacy: PrivacyHandlers, parts: ChatParts) -> None:
    """Send, stop and the buttons under each turn. Many people may be answered at once.

    Every press arrives ("multiple"): by default Gradio drops one while the last is under way, as a question
    asked while the answer that was left just before still ends. Whether a page may ask is for
    `OneAtATime` to say.
    """
    main, state = parts.main, parts.state
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    each = common | {"trigger_mode": "multiple"}
    asking = [main.message, main.audience, state, *main.sampling]
    gr.on([main.message.submit, main.send.click], settled(handlers.ask, state), asking, **each)
    main.thread.act(settled(handlers.act, state), [main.audience, state, *main.sampling], **each)
    main.caution.act(settled(privacy.decide, state), asking, **each)
    main.stop.click(handlers.stop, [state], **common)
    main.audience.change(handlers.choose_audience, [main.audience, state], **common)


def _wire_side(handlers: SideHandlers, parts: ChatParts) -> None:
    """The list of conversations and what can be done with the open one."""
    side, main, state = parts.side, parts.main, parts.state
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    side.new.click(handlers.start_new, [main.audience, state], **common)
    side.list.act(handlers.open, [state], trigger_mode="multiple", **common)
    side.search.change(handlers.search, [side.search, state], trigger_mode="always_last", **common)
    side.rename.click(handlers.rename, [side.title, main.audience, state], **common)
    side.title.submit(handlers.rename, [side.title, main.audience, state], **common)
    side.export.click(handlers.export, [side.form, state], **common)
    side.delete.click(handlers.ask_delete, None, **common)
    side.confirm.click(handlers.delete, [main.audience, state], **common)


def _wire_privacy(handlers: PrivacyHandlers, parts: ChatParts) -> None:
    """The switch above a new conversation, and the note above a private one."""
    main, state = parts.main, parts.state
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    main.private.input(handlers.choose_private, [main.private, main.audience, state], **common)
    main.private_note.act(handlers.forget, [main.audience, state], **common)
