"""The API's description, built once for all tests of a worker that read it; none may change it.

As a program it prints the description, to be kept when a version is released.
"""

import json
from functools import cache

from server.openapi import spec

openapi = cache(spec.openapi)

if __name__ == "__main__":
    print(json.dumps(openapi(), indent=1, ensure_ascii=False))
