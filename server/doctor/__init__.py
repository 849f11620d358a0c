"""`manage.py doctor`: what is wrong, and how to mend it."""

from server.doctor.examination import examine
from server.doctor.finding import Finding

__all__ = ["Finding", "examine"]
