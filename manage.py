#!/usr/bin/env python3
"""Run a command of Freshet: `python manage.py COMMAND`; see `python manage.py --help`."""

import gc
import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - for this message alone
    raise SystemExit("Freshet needs Python 3.11 or newer; this is " + sys.version.split()[0])

HERE = os.path.dirname(os.path.realpath(__file__))
if HERE not in sys.path:  # PYTHONSAFEPATH omits it
    sys.path.insert(0, HERE)

try:
    from server.cli import main
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] in ("server", "handlers", "models"):
        raise
    raise SystemExit(
        f"The package {missing.name} is not installed for {sys.executable}.\n"
        "Run `make install`, then use .venv/bin/python manage.py"
    ) from None

if __name__ == "__main__":
    gc.freeze()  # what is imported stays; looking for garbage in it at the end takes 0.3 s
    main(prog_name="manage.py")
