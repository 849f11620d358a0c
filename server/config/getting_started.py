"""The five steps from the demo to real releases, for `/setup` and `manage.py init`. Pure."""

from dataclasses import dataclass

from server.config.addresses import DASHBOARD


@dataclass(frozen=True)
class Step:
    """One step: its title, an explanation, and a text to copy."""

    title: str
    text: str
    copy: str | None = None


def steps(redirect_uri: str) -> tuple[Step, ...]:
    """Return the steps for a server with this redirect URI."""
    return (
        Step(
            "Create a Spotify app",
            "Tick the Web API. The owner of the app needs Spotify Premium.",
            DASHBOARD,
        ),
        Step("Enter the redirect URI", "Copy it exactly, with the last slash.", redirect_uri),
        Step("Copy the Client ID and the Client secret", "Both are on the page of the app."),
        Step(
            "Write the settings",
            "This asks for both and writes the file .env.",
            ".venv/bin/python manage.py init",
        ),
        Step("Start Freshet", "Stop the demo first, with Ctrl-C.", "make run"),
    )
