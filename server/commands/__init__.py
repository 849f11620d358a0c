"""The larger commands of `manage.py`; the others are in `server/cli.py`, where to begin.

`init` writes `.env`, `login` logs in by copy and paste, `postgres` runs a program of PostgreSQL on
the database, and `demo` runs the server against the bundled stand-in for Spotify.
Commands may import every chapter.
"""
