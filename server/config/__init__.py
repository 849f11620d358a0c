"""The settings: read once from the environment and `.env`, checked, and reported together.

Begin with `settings.py`. `environment.py` reads the text of the variables, `validators.py` checks
single values, `addresses.py` and `libpq.py` read addresses, `env_file.py` rewrites `.env`.
Imports nothing but the base modules.
"""
