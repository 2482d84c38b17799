"""The adapters: which there are, and which of them answer. Each handler makes one service call and paints."""

from dataclasses import dataclass

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.tabs import adapters_view
from elara_ui.tabs.markup import ACT_SCRIPT, notice
from elara_ui.tabs.parts import Updates, components_of


@dataclass(frozen=True)
class AdapterParts:
    """The list of adapters.

    Args:
        promoted: counts promotions, for others to follow.
    """

    list: gr.HTML
    message: gr.HTML
    promoted: gr.Number


def build_adapters(services: Services) -> "AdapterHandlers":
    """Build the list and wire it."""
    parts = AdapterParts(
        gr.HTML(js_on_load=ACT_SCRIPT, elem_id="adapters"),
        gr.HTML(elem_id="adapters-message"),
        gr.Number(0, visible=False),
    )
    handlers = AdapterHandlers(services, parts)
    parts.list.act(
        handlers.promote,
        [parts.promoted],
        components_of(parts),
        show_progress="hidden",
        concurrency_limit=None,
    )
    return handlers


class AdapterHandlers:
    """The behaviour of the list."""

    def __init__(self, services: Services, parts: AdapterParts) -> None:
        self._services = services
        self.parts = parts

    def refresh(self) -> Updates:
        """Paint what the database says now."""
        return {self.parts.list: adapters_view.render_adapters(self._services.adapters.versions())}

    def promote(self, promoted: float, event: gr.EventData) -> Updates:
        """Make an adapter live."""
        try:
            adapter = self._services.adapters.promote(str(event.item))
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return self.refresh() | {
            self.parts.message: notice(
                f"{adapter.name} now answers for {adapter.audience}, from the next message on.", "good"
            ),
            self.parts.promoted: promoted + 1,
        }
