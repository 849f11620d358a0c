"""What single routes refuse, and for how long: RequestErrors with a status of their own."""

from server.errors import RequestError


class TooManyListeners(RequestError):
    """One more stream than this process has room for."""

    status = 503
    kind = "too-many-listeners"
    title = "Too many clients are listening"
    retry_after = 30

    def __init__(self) -> None:
        super().__init__("Please try again shortly, or read /api/changes/.")
