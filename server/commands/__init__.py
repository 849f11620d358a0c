"""The commands of `manage.py` that take more than a few lines of `server/cli.py`.

`init` writes `.env`, `login` logs in by copy and paste, `demo` runs the server against the bundled
stand-in for Spotify, which no other module imports. Commands may import every chapter.
"""
