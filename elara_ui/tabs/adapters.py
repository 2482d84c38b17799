"""The adapters: which there are, which of them answer, and what each is. Handlers call services and paint."""

from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.exporting import Target
from elara_ui.services.release_rules import REASON_LIMIT
from elara_ui.services.review_drafts import REVIEWER_LIMIT
from elara_ui.tabs import adapters_view
from elara_ui.tabs.markup import ACT_SCRIPT, notice
from elara_ui.tabs.parts import Updates, components_of, settled


@dataclass(frozen=True)
class AdapterParts:
    """The list of adapters and the one that is looked at.

    Args:
        by: who makes an adapter live.
        why: why, where the gate isn't met.
        promoted: counts promotions, for others to follow.
        shown: name of the adapter whose details are open; empty for none.
    """

    list: gr.HTML
    by: gr.Textbox
    why: gr.Textbox
    message: gr.HTML
    details: gr.HTML
    promoted: gr.Number
    shown: gr.State


def build_adapters(services: Services) -> "AdapterHandlers":
    """Build the list and wire it."""
    parts = AdapterParts(
        gr.HTML(js_on_load=ACT_SCRIPT, elem_id="adapters"),
        *_build_signing(),
        gr.HTML(elem_id="adapters-message"),
        gr.HTML(js_on_load=ACT_SCRIPT, elem_id="adapter-details"),
        gr.Number(0, visible=False),
        gr.State(""),
    )
    handlers = AdapterHandlers(services, parts)
    for source in (parts.list, parts.details):
        source.act(
            settled(handlers.act, parts.shown),
            [parts.by, parts.why, parts.promoted, parts.shown],
            components_of(parts),
            show_progress="hidden",
            concurrency_limit=None,
        )
    return handlers


def _build_signing() -> tuple[gr.Textbox, gr.Textbox]:
    """Who makes an adapter live, and why."""
    with gr.Row(elem_id="adapters-signing"):
        by = gr.Textbox(
            label="Your name, to make one live",
            max_lines=1,
            max_length=REVIEWER_LIMIT,
            min_width=180,
            elem_id="promoted-by",
        )
        why = gr.Textbox(
            label="Why, where the gate isn't met (see Release)",
            max_lines=1,
            max_length=REASON_LIMIT,
            scale=2,
            min_width=220,
            elem_id="promoted-why",
        )
    return by, why


class AdapterHandlers:
    """The behaviour of the list and the details."""

    def __init__(self, services: Services, parts: AdapterParts) -> None:
        self._services = services
        self.parts = parts

    def refresh(self, shown: str) -> Updates:
        """Paint the list as the database says now."""
        listed = self._services.adapters.versions()
        probing = {
            adapter.name: state
            for adapter in listed
            if (state := self._services.probes.state(adapter.name)) is not None
        }
        return {self.parts.list: adapters_view.render_adapters(listed, shown, probing)}

    def act(self, by: str, why: str, promoted: float, shown: str, event: gr.EventData) -> Iterator[Updates]:
        """Whatever a button in the list or the details asks for."""
        name = str(event.item)
        try:
            match str(event.act).partition("-"):
                case "probe", _, _:
                    yield self._probe(name, shown)
                case "promote", _, _:
                    yield self._promote(name, by, why, promoted, shown)
                case "details", _, _:
                    yield self._open(name) | {self.parts.message: ""}
                case "export", _, target:
                    yield from self._export(name, Target(target))
                case _:
                    yield self._close()
        except ElaraError as error:
            yield {self.parts.message: notice(error.message)}

    def _promote(self, name: str, by: str, why: str, promoted: float, shown: str) -> Updates:
        adapter = self._services.release.promote(name, by, why)
        said = f"{adapter.name} now answers for {adapter.audience}, from the next message on."
        painted = self._open(shown) if shown else self.refresh(shown)
        return painted | {
            self.parts.message: notice(said, "good"),
            self.parts.promoted: promoted + 1,
            self.parts.why: "",
        }

    def _probe(self, name: str, shown: str) -> Updates:
        self._services.probes.start(name)
        said = f"{name} is asked a few questions; Details shows what it said, as soon as it has."
        return self.refresh(shown) | {self.parts.message: notice(said, "info")}

    def _export(self, name: str, target: Target) -> Iterator[Updates]:
        if target is Target.MERGED:
            yield {
                self.parts.message: notice(f"Merging {name} into its base model and checking it …", "info")
            }
        exported = self._services.exports.export(name, target)
        said = f"Written to {exported.place}. {exported.note}".strip()
        yield self._open(name) | {self.parts.message: notice(said, "good")}

    def _open(self, name: str) -> Updates:
        details = self._services.adapters.details(name)
        written = self._services.exports.written(name)
        return self.refresh(name) | {
            self.parts.details: adapters_view.render_details(details, written),
            self.parts.shown: name,
        }

    def _close(self) -> Updates:
        return self.refresh("") | {self.parts.details: "", self.parts.message: "", self.parts.shown: ""}
