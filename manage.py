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

if __name__ == "__main__":
    try:
        from server.cli import main

        main(prog_name="manage.py")
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in ("server", "handlers", "models"):
            raise
        raise SystemExit(
            f"The package {missing.name} is not installed for {sys.executable}.\n"
            "Run `make install`, then use .venv/bin/python manage.py"
        ) from None
    finally:
        gc.freeze()  # else Python looks for garbage in all that is imported, which takes 0.3 s
