"""Logs, as one JSON object per line, and metrics for Prometheus.

Start with `log.py`, which configures structlog. `log_writer.py` writes lines from a thread, so that
a blocked reader of the log cannot block the event loop; `scrubber.py` masks secrets;
`access_log.py` logs requests. `instruments.py` declares counters and histograms, and `metrics.py`
exposes them. May import `config`.
"""
