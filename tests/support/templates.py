"""Compiles each page template once for the servers of all tests.

Each server has a loader of its own, which would otherwise compile the same templates again: an
eighth of the time of tests on pages.
"""

import functools

from tornado.template import Loader, Template

_create_template = Loader._create_template


@functools.cache
def _compiled(root: str, name: str) -> Template:
    return _create_template(Loader(root), name)


def _shared(self: Loader, name: str) -> Template:
    return _compiled(self.root, name)


def pytest_configure() -> None:
    """Let all loaders of a folder share what they compile; templates do not change in a run."""
    Loader._create_template = _shared  # type: ignore[method-assign]
