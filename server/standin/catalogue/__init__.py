"""The stand-in's data: a generated, repeatable catalogue of invented releases and artists.

Begin with `catalogue.py`; `releases.py` generates one release.
"""
