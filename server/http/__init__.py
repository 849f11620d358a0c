"""The socket side: accepting connections, the fast lane, and Tornado's server behind it.

Tornado's own server costs some 250 µs a request before any handler runs. A client repeats the heads
of its requests to the byte, so a warm answer here is one `recv`, one look-up and one `send`. This
is not a second HTTP server: anything but a known head, or a plain GET or HEAD of a ready answer, is
handed to Tornado, and the connection comes back when it has been answered. Begin with
`fast_lane.py`. Imports `serving`, `catalog` and `observability`.
"""
