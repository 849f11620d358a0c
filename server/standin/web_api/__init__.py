"""The stand-in's Web API: new releases, search, albums, artists and the listener's own data.

Begin with `catalogue.py`; `base.py` checks tokens and quotas.
"""
