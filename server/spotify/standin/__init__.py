"""The old place of `server.standin`, for this version."""
