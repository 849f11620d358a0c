"""`manage.py doctor`: what is wrong, and how to mend it."""

from server.doctor.finding import Finding
from server.doctor.run import examine

__all__ = ["Finding", "examine"]
