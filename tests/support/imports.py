"""Import every module of Freshet: `python -m tests.support.imports`."""

import importlib
import pkgutil
import sys

PACKAGES = ("server", "handlers", "models")


def main() -> int:
    """Import each module, and print those that fail; returns the exit code."""
    failed = 0
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(".__main__"):
                continue
            try:
                importlib.import_module(module.name)
            except Exception as error:
                print(f"{module.name}: {type(error).__name__}: {error}")
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
