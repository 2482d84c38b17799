"""The page's own calm look, light and dark. System fonts only: nothing is fetched from elsewhere."""

from pathlib import Path

import gradio as gr

STYLESHEET = Path(__file__).parent / "theme.css"

_SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]

_TEAL = gr.themes.Color(
    c50="#effaf8", c100="#d5f1ec", c200="#aee3da", c300="#7bcdc2", c400="#48b0a4", c500="#2b9488",
    c600="#1f776e", c700="#1c5f59", c800="#1a4c48", c900="#193f3c", c950="#092523", name="teal",
)  # fmt: skip


def build_theme() -> gr.themes.Base:
    """Quiet surfaces, one teal accent, generous text."""
    return gr.themes.Base(
        primary_hue=_TEAL,
        secondary_hue=_TEAL,
        neutral_hue="slate",
        radius_size="md",
        text_size="md",
        font=_SANS,
        font_mono=_MONO,
    ).set(
        body_background_fill="#f6f8f9",
        body_background_fill_dark="#10171d",
        block_background_fill="#ffffff",
        block_background_fill_dark="#18222a",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#18222a",
        background_fill_secondary="#f1f4f6",
        background_fill_secondary_dark="#131c23",
        border_color_primary="#dbe2e7",
        border_color_primary_dark="#2a3741",
        block_border_color="#dbe2e7",
        block_border_color_dark="#2a3741",
        input_border_width="1px",
        input_border_width_dark="1px",
        button_border_width="1px",
        button_border_width_dark="1px",
        button_small_text_weight="500",
        button_large_text_weight="600",
        input_background_fill="#fbfcfd",
        input_background_fill_dark="#131c23",
        input_border_color="#c8d2d9",
        input_border_color_dark="#34434e",
        body_text_color="#1c2a33",
        body_text_color_dark="#e2e9ee",
        body_text_color_subdued="#586974",
        body_text_color_subdued_dark="#9db0bc",
        block_info_text_color="#586974",
        block_info_text_color_dark="#9db0bc",
        button_primary_background_fill="#1f776e",
        button_primary_background_fill_hover="#1c5f59",
        button_primary_background_fill_dark="#1f776e",
        button_primary_background_fill_hover_dark="#2b9488",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_hover="#eef3f5",
        button_secondary_background_fill_dark="#1f2b34",
        button_secondary_background_fill_hover_dark="#283742",
        button_secondary_border_color="#c8d2d9",
        button_secondary_border_color_dark="#34434e",
        button_cancel_background_fill="#ffffff",
        button_cancel_background_fill_dark="#1f2b34",
        button_cancel_text_color="#a3312c",
        button_cancel_text_color_dark="#f0a19c",
        button_cancel_border_color="#d9a6a3",
        button_cancel_border_color_dark="#7a3f3c",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_shadow="none",
        button_primary_shadow="none",
        button_secondary_shadow="none",
    )


def read_stylesheet() -> str:
    """The page's own CSS."""
    return STYLESHEET.read_text(encoding="utf-8")
