"""The OpenAPI 3.1 description of the API, and the content of its documentation page. Pure.

Begin with `spec.py`, which builds the document from the models of requests and responses;
`reference.py` reads that document for the page, `problem_kinds.py` explains each kind of problem.
Imports `catalog`, `serving`, `config.addresses`, the errors of `login` and the base modules.
"""
