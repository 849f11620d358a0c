"""The pages for people: a handler reads the data, a presenter shapes it, a template shows it.

Begin with `base.py`, which has what all pages share: templates, security headers and errors.
`account.py` adds the login panel, `auth.py` has the login's routes. Pages may import the API's
handlers and the services, but not `server/app`.
"""
