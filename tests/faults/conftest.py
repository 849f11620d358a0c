"""The long form of these tests is for `make soak`."""

import os

import pytest


@pytest.fixture
def long() -> bool:
    """Whether there is time: FRESHET_SOAK is set."""
    return bool(os.environ.get("FRESHET_SOAK"))
