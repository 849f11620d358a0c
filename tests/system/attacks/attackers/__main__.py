"""One attack in a process of its own: `python -m tests.system.attacks.attackers ORDER`, as JSON.

It says `begun`, and in the end what it has seen, as JSON. Then it goes, and with it all of its
connections.
"""

import asyncio
import json
import os
import resource
import sys
from importlib import import_module

import uvloop

from tests.system.attacks.attackers.wire import Target


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    order = json.loads(sys.argv[1])
    module, _, name = order["name"].partition(":")
    attack = getattr(import_module(f"tests.system.attacks.attackers.{module}"), name)
    print("begun", flush=True)
    target = Target(order["port"], order["seconds"])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told = runner.run(attack(target, **order["options"]))
        print(json.dumps(told), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main()
