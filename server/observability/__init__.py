"""Logs and metrics: one JSON object a line, and what Prometheus scrapes.

Begin with `log.py`, which configures structlog; `log_writer.py` writes lines from a thread, so that
no reader of the log can stop the loop; `scrubber.py` masks secrets; `access_log.py` logs requests.
`instruments.py` declares counters and histograms, `metrics.py` exposes them. Imports `config`,
and `catalog` for what is left out of answers.
"""
