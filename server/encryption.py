"""What encrypts tokens and cookies: keys made from `SECRET`, one ring for each purpose.

Source: cryptography.io/en/latest/fernet (AES-128-CBC and HMAC-SHA256 under one key).
"""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from server.errors import Unreadable


class Encryption:
    """Seals with the first key of a comma list, opens with any, so that keys can be changed.

    Rings of different `purpose` cannot open each other's seals.
    """

    def __init__(self, secret: str, purpose: str) -> None:
        keys = [part.strip().encode() for part in secret.split(",")]
        salted = (hashlib.sha256(f"freshet {purpose} ".encode() + key).digest() for key in keys)
        self._fernets = [Fernet(base64.urlsafe_b64encode(key)) for key in salted]
        self._all = MultiFernet(self._fernets)

    def seal(self, text: str) -> bytes:
        """Encrypt and sign, with the first key."""
        return self._all.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """What was sealed with any of the keys. Raises Unreadable for everything else."""
        try:
            return self._all.decrypt(sealed).decode()
        except (InvalidToken, UnicodeDecodeError) as error:
            raise Unreadable("sealed with a key that SECRET does not hold, or damaged") from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the first key."""
        try:
            self._fernets[0].decrypt(sealed)
        except InvalidToken:
            return False
        return True
