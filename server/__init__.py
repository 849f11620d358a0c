"""Freshet: a fast local copy of Spotify's new releases and their artists.

The folders are chapters: docs/architecture.md explains them and what each may import. The modules
beside this one are the commands (`cli.py`) and what every chapter may import. Begin reading with
`app/application.py`.
"""

__version__ = "0.2.0"
