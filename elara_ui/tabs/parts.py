"""Dataclasses of components, flattened for Gradio's event lists."""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any

import gradio as gr

Updates = dict[gr.blocks.Block, Any]
"""What a handler changes: component → its new value or `gr.update`. Components left out stay as they are."""


def components_of(parts: Any) -> list[gr.blocks.Block]:
    """Every component in a dataclass of components, nested dataclasses and tuples included."""
    found: list[gr.blocks.Block] = []
    for field in fields(parts):
        value = getattr(parts, field.name)
        if is_dataclass(value):
            found += components_of(value)
        elif isinstance(value, tuple):
            found += value
        else:
            found.append(value)
    return found


def unchanged(component: gr.blocks.Block) -> Updates:
    """No change at all. Gradio takes an empty dictionary for a value, so one component is named."""
    return {component: gr.skip()}


def settled(
    handler: Callable[..., Iterator[Updates]], component: gr.blocks.Block
) -> Callable[..., Iterator[Updates]]:
    """A handler that paints step by step, made to end with no change at all.

    When a generator ends, Gradio sends its last update once more (`Blocks.handle_streaming_diffs`); by then
    something else may have been painted, which that would undo.

    Args:
        component: any of the handler's outputs.
    """

    @wraps(handler)
    def run(*given: Any, **named: Any) -> Iterator[Updates]:
        yield from handler(*given, **named)
        yield unchanged(component)

    return run
