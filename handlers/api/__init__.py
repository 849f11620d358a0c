"""The handlers of `/api` and the feeds: JSON and other formats for programs.

Each takes what it needs through `initialize`; errors become problems in `handlers/base.py`.
"""
