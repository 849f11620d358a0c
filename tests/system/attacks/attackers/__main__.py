"""Attacks, each in a process of its own that is forked from one that has imported all of them.

`python -m tests.system.attacks.attackers` reads orders, one JSON object a line. Of each attack it
writes `begun`, and in the end what it has seen, as JSON. Then that process goes, and with it all of
its connections.
"""

import asyncio
import json
import os
import resource
import sys
from typing import Any

import uvloop

from tests.system.attacks.attackers import crowds, floods, heads, logins, unread
from tests.system.attacks.attackers.wire import Target

MODULES = {"crowds": crowds, "floods": floods, "heads": heads, "logins": logins, "unread": unread}


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for line in sys.stdin:
        if not (pid := os.fork()):
            attack(json.loads(line))
        os.waitpid(pid, 0)


def attack(order: dict[str, Any]) -> None:
    """Carry out one order; the process ends with it."""
    module, _, name = order["name"].partition(":")
    function = getattr(MODULES[module], name)
    print("begun", flush=True)
    target = Target(order["port"], order["seconds"])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told = runner.run(function(target, **order["options"]))
        print(json.dumps(told), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main()
