"""`python -m server.postgres`: the old name of `python -m server.commands.postgres`."""

import sys

from server.commands.postgres import main

if __name__ == "__main__":
    sys.exit(main())
