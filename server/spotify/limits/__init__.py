"""The limits on calls to Spotify: its cooldowns, and the learnt ceiling of each bucket.

Begin with `rate_limiter.py`, which every call passes through. `budget.py` says how much of a bucket
each purpose may use; it, `ceiling.py`, `quota.py` and `cooldown.py` are pure arithmetic.
`usage_store.py` stores all of it in the database for all processes. May import the root of
`spotify`, `database` and `models`; SQL only in the store.
"""
