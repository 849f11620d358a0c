"""The fast lane: warm answers sent straight from memory, everything else lent to Tornado.

Tornado's own server costs some 250 µs a request before any handler runs. A client repeats the heads
of its requests to the byte, so that a warm answer here is one `recv`, one look-up and one `send`.
There is no second HTTP server in it: what is not known to the byte, or plainly a GET or HEAD of an
answer that is ready, goes to Tornado unread, and comes back when it has been answered.
"""
