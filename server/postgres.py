"""The old name of `server.commands.postgres`, for this version."""

import sys

from server.commands.postgres import main

if __name__ == "__main__":
    sys.exit(main())
