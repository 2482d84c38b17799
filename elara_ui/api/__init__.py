"""The HTTP API: the shape of OpenAI's chat completions, answered by what answers the page."""

from elara_ui.api.app import api_routes, build_api

__all__ = ["api_routes", "build_api"]
