"""HTTP handlers, each a thin layer between a route and the components below it.

Start with `base.py`, which sets the headers of all responses and turns errors into problem details.
`session.py` has cookies, sessions and the origin check, `health.py` the probes and `metrics.py` the
metrics; `api/` answers programs, and `pages/` answers people. `server/app/routes.py` maps paths to
handlers and passes each its components, which handlers take from nowhere else.
"""
