"""The command line's verb for serving on another machine."""

from enum import StrEnum
from typing import Annotated

import typer

from elara_ui.cli.parts import HomeOption, JsonOption, open_services
from elara_ui.cli.text import write_document
from elara_ui.services.serve_command import vllm_command


class Server(StrEnum):
    """Servers whose command is known."""

    VLLM = "vllm"


def serve_command(
    server: Annotated[Server, typer.Argument(help="Which server.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Print how a server is started with the live adapters, for ELARA_ENGINE_URL to lead to."""
    with open_services(home) as services:
        settings = services.settings
        command = vllm_command(
            services.database, settings.folders, services.serving.base_model, settings.context_tokens
        )
    if as_json:
        write_document({"server": server, "command": command})
    else:
        print(command)
