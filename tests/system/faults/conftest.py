"""The long form of these tests is for `make soak`."""

from tests.support.faults import descriptors, frail, publishing, slow_spotify, url

__all__ = ["descriptors", "frail", "publishing", "slow_spotify", "url"]
