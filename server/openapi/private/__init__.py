"""Describes what needs a session or an access key; `security.py` says how a client sends them."""
