"""The pages for people: each handler gathers facts, a presenter shapes them, a template shows them.

`base.py` has what all pages share: templates, security headers, errors in words.
"""
