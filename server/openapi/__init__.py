"""The OpenAPI 3.1 description and the reference page's view of it. Pure.

Begin with `spec.py`, which builds the document from the models of requests and answers;
`reference.py` reads that document for the page of the API, `problem_kinds.py` explains each kind of
problem. Imports `catalog`, `serving` and the base modules.
"""
