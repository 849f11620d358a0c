"""`python -m server.spotify.standin`: the old form of `manage.py standin`, for this version."""

import sys

from server.standin.__main__ import main

if __name__ == "__main__":
    print("`python -m server.spotify.standin` is now `manage.py standin`.", file=sys.stderr)  # noqa: T201
    main(prog="manage.py standin")
