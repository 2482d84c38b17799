"""Start Elara: settings → services → page → launch."""

import logging
import os
import sys

from elara_ui.errors import ElaraError
from elara_ui.services import build_services
from elara_ui.settings import Settings
from elara_ui.startup import StatusPrinter, check_port, hold_home, parse_arguments


def main() -> int:
    """Serve the page until interrupted.

    Returns:
        The exit status.
    """
    arguments = parse_arguments()
    try:
        settings = Settings.read(**vars(arguments))
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(name)s %(levelname)s %(message)s")
        home = settings.folders
        lock = hold_home(home)
        check_port(settings.host, settings.port)
        services = build_services(settings, StatusPrinter())
    except ElaraError as error:
        print(error.message, file=sys.stderr)
        return 1

    # Gradio reads these when it is imported: no analytics, and uploads stay inside ELARA_HOME.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(home.uploads)
    from elara_ui.api import api_routes
    from elara_ui.blocks import build_page, launch_page

    services.serving.start()
    services.triage.start()
    services.runs.tidy()
    services.runs.reconcile()
    services.evaluations.reconcile()
    services.upkeep.start()
    try:
        launch_page(build_page(services), settings, routes=api_routes(services))
    except ElaraError as error:
        print(error.message, file=sys.stderr)
        return 1
    finally:
        services.close()
        lock.release()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
