"""A login as Spotify grants it."""

from server.spotify.auth.oauth import Grant
from server.spotify.profile import Profile

GRANT = Grant("BQ-access", 3600, "AQ-refresh", ("user-follow-read",))
ROBIN = Profile("account-robin", "robin", "Robin")
