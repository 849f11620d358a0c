"""`python -m server`: the same as `manage.py run`."""

import gc
import sys

from server.cli import main

if __name__ == "__main__":
    try:
        main(["run", *sys.argv[1:]], prog_name="python -m server")
    finally:
        gc.freeze()  # as in manage.py
