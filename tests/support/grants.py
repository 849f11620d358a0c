"""A login as Spotify grants it."""

from server.spotify.profile import Profile
from server.spotify.types import Grant

GRANT = Grant("BQ-access", 3600, "AQ-refresh", ("user-follow-read",))
ROBIN = Profile("account-robin", "robin", "Robin")
