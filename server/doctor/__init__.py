"""`manage.py doctor`: finds what is wrong, and says how to fix it.

Begin with `run.py`, which makes the checks in order; `database.py`, `spotify.py` and `login.py`
have the checks of each subject, and `report.py` prints the findings. It changes nothing but the
count of calls. Imports `app` and everything below it.
"""

from server.doctor.report import Finding
from server.doctor.run import examine

__all__ = ["Finding", "examine"]
