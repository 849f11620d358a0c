"""The limits on calls to Spotify: its cooldowns after a 429, and Freshet's quota for each bucket.

Begin with `rate_limiter.py`, which every call passes through. `quota.py` and `cooldown.py` are pure
arithmetic; `usage_store.py` stores both in the database for all processes. May import the root of
`spotify`, `database` and `models`; SQL only in the store.
"""
