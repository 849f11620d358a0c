"""Connections and their bounds: what a stranger can make the process keep, and for how long.

Listening sockets, the acceptor, incomplete heads and bodies, answers that are not sent yet, turns
between clients. Each owner of memory takes its bound from `config/memory_budget.py`. Imports
`config` only.
"""
