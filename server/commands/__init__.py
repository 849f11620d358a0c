"""What the commands of `manage.py` do; `server/cli.py`, where to begin, declares them.

`groups.py` declares those that have commands of their own, such as `watch`, which keeps a list of
artists. `init` writes `.env`, `login` logs in by copy and paste, `sync` syncs once, `doctor` prints
what is wrong, `postgres` runs a program of PostgreSQL on the database, and `demo` runs the server
against the bundled stand-in for Spotify. `served.py` finds the data that `watch` and `key` are
about. Commands may import every chapter.
"""
