"""What attacks share: one server, with its own database and stand-in, and clients beside it."""

import pytest

from tests.support.attacks import siege

__all__ = ["siege"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What measures time is run alone (`make test`)."""
    for item in items:
        if "siege" in getattr(item, "fixturenames", ()):
            item.add_marker("alone")
