"""`python -m tasker` is the command `tasker`."""

import sys

from tasker.cli import main

if __name__ == "__main__":
    sys.exit(main())
