"""`python -m server.postgres`: the old form of `manage.py postgres`, for this version."""

import sys

from server.cli import main

if __name__ == "__main__":
    print("`python -m server.postgres` is now `manage.py postgres`.", file=sys.stderr)  # noqa: T201
    main(["postgres", *sys.argv[1:]], prog_name="manage.py")
