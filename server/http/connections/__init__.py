"""Connections and their bounds: what clients can make the process hold, and for how long.

Contains the listening sockets, the acceptor, incomplete heads and bodies, the backlog of unsent
bytes, and the two parts that keep one client from delaying the others (`read_budget.py`,
`handoff_queue.py`). Each owner of memory takes its bound from `config/memory_budget.py`. Begin with
`acceptor.py` and `connection.py`. Imports `config` and the base modules only.
"""
