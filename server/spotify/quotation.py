"""Text of others as it is quoted in messages and logs. Pure."""

MAX_QUOTE_LENGTH = 200  # characters


def quotable(text: str) -> str:
    """Return the start of a foreign text on one line, without unprintable characters."""
    shown = "".join(c if c.isprintable() else " " for c in text[:MAX_QUOTE_LENGTH])
    return " ".join(shown.split())
