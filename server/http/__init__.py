"""The socket side: accepting connections, the fast lane, and Tornado's server behind it.

Tornado's own server costs some 250 µs per request before any handler runs. Clients repeat their
request heads byte for byte, so the fast lane answers a warm request with one `recv`, one look-up in
the head cache and one `send`. It is not a second HTTP server: a request whose head is neither known
nor a plain GET or HEAD of a cached response is handed to Tornado, and the connection returns to the
fast lane after the response.

Begin with `fast_lane.py`. Imports `serving`, `catalog`, `observability`, `config` and the base
modules.
"""
