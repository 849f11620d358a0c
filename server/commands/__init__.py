"""The commands of `manage.py` that take more than a few lines of `server/cli.py`.

`init` writes `.env`, `login` logs in by copy and paste, `postgres` runs a program of PostgreSQL on
the database, `demo` runs the server against the bundled stand-in for Spotify, which only `cli.py`
and the covers of `app/routes.py` need besides. Commands may import every chapter.
"""
