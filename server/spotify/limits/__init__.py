"""May Freshet call now? Cooldowns that Spotify asked for, and the quota of each bucket.

Begin with `rate_limiter.py`, which every call passes. `quota.py` and `cooldown.py` are pure
arithmetic; `quota_store.py` keeps both in the database for all processes.
"""
