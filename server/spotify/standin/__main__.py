"""`python -m server.spotify.standin`: the old name of `python -m server.standin`."""

from server.standin.__main__ import main

if __name__ == "__main__":
    main()
