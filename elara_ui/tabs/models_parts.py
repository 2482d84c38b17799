"""The components of the models tab."""

from dataclasses import dataclass

import gradio as gr

POLL_SECONDS = 1.5
"""Between two looks at the downloads; only while there are any."""


@dataclass(frozen=True)
class ModelParts:
    """What the tab's handlers fill.

    Args:
        state: what is looked at.
        clock: goes while something is downloaded.
    """

    machine: gr.HTML
    recommended: gr.HTML
    message: gr.HTML
    family: gr.Radio
    list: gr.HTML
    reference: gr.Textbox
    add: gr.Button
    added: gr.HTML
    shelf: gr.HTML
    state: gr.State
    clock: gr.Timer
