"""The API's description, built once for all tests of a worker that read it; none may change it."""

from functools import cache

from server.openapi import spec

openapi = cache(spec.openapi)
