"""The old name of `server.standin`, for this version."""
