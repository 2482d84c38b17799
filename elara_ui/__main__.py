"""`python -m elara_ui`: the command line."""

import sys

from elara_ui.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
