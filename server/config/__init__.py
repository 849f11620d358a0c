"""Settings: read once from the environment and `.env`, checked, and all faults reported together.

Begin with `settings.py`. `environment.py` reads the variables as text, `validators.py` checks
single values, `addresses.py` and `libpq.py` parse addresses, and `env_file.py` writes `.env`.
Imports only the base modules.
"""
