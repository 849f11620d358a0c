"""What a load on a server reports."""

from tests.support.server_processes import Server
from tests.support.waiting import until
from tests.system.faults.load import Load
from tests.system.faults.place import percentile, serves

STARTING = 30.0  # seconds


async def begun(server: Server, seconds: float = STARTING) -> Server:
    await until(lambda: server.events("server_started"), seconds)
    await until(lambda: serves(server), seconds)
    return server


def told(load: Load) -> str:
    return (
        f"{load.answered} answered, {len(load.failed)} failed, {load.again} sent again "
        f"({load.cut} on a new connection), "
        f"p99 {percentile(load.seconds):.0f} ms"
    )
