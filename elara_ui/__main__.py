"""`python -m elara_ui`: the command line."""

import sys

from elara_ui.cli import main

if __name__ == "__main__":
    sys.exit(main())
