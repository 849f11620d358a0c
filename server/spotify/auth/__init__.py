"""Access tokens: requested from the accounts service, stored encrypted, and refreshed.

Begin with `token_provider.py`, which gives callers a token. `token_refresh.py` refreshes one under
a row lock, `access_token.py` carries the request from that thread to the loop, `oauth.py` is the
client of the accounts service, `token_store.py` has the SQL of the table `logins`. May import
`spotify.limits`, the root of `spotify`, `database`, `models` and `config`; SQL only in the store.
"""
