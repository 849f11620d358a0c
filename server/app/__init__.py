"""The composition root: builds every part by hand, starts and stops them in order.

Begin with `application.py`, which makes one process of the server; `upstream.py` builds what calls
Spotify, `serving.py` what answers requests, `metrics.py` what Prometheus reads. `status_reader.py`
gathers the state of the server, `heap.py` returns freed memory to the operating system, and
`routes.py` lists every route with its handler. It may import
every chapter below the commands, `process` and `doctor`, which alone import it.
"""
