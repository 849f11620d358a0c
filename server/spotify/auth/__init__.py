"""Whose token: the accounts service, tokens in memory, at rest, and their renewal.

Begin with `token_provider.py`, which callers ask for a token; `token_refresh.py` renews one under a
row lock, `oauth.py` speaks to the accounts service, `token_store.py` is the table `logins`. Imports
`spotify.limits` and the values of `spotify`; SQL only in `token_store.py` and `token_refresh.py`.
"""
