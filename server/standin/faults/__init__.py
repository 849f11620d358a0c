"""Simulated failures: error responses, broken connections, and wrong or invalid content.

Begin with `definitions.py`, which lists them; `active_faults.py` decides which requests they
affect.
"""
