"""The stand-in's releases: invented names, ids, markets and Spotify's JSON objects."""
