"""How much of a core the machine keeps for itself: `python -m tests.bench.http.stolen SECONDS`.

A program that only reads the clock is not let on for a millisecond or more only when the core was
given to somebody else: to another program, or by the host to another machine.
"""

import sys
import time

GAP = 0.0005  # seconds; reading the clock takes a ten thousandth of that


def share(seconds: float) -> float:
    """Of so long, what was lost in gaps."""
    began = last = time.perf_counter()
    lost = 0.0
    while last - began < seconds:
        now = time.perf_counter()
        if now - last > GAP:
            lost += now - last
        last = now
    return lost / (last - began)


if __name__ == "__main__":
    print(share(float(sys.argv[1])))
