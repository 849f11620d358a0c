"""What Freshet knows of Spotify: how to ask, what the answers mean."""
