"""Encrypts tokens and cookies with keys derived from `SECRET`, separate for each purpose.

Source: cryptography.io/en/latest/fernet (AES-128-CBC and HMAC-SHA256 under one key).
"""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from server.errors import DecryptionFailed


class Encryption:
    """Encrypts with the first of comma-separated keys, decrypts with any of them.

    So keys can be rotated. What one `purpose` encrypts no other can decrypt.
    """

    def __init__(self, secret: str, purpose: str) -> None:
        keys = [part.strip().encode() for part in secret.split(",")]
        salted = (hashlib.sha256(f"freshet {purpose} ".encode() + key).digest() for key in keys)
        self._fernets = [Fernet(base64.urlsafe_b64encode(key)) for key in salted]
        self._all = MultiFernet(self._fernets)

    def seal(self, text: str) -> bytes:
        """Return a text encrypted and signed with the first key."""
        return self._all.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """Return the text that `seal` encrypted with any of the keys. Raises DecryptionFailed."""
        try:
            return self._all.decrypt(sealed).decode()
        except (InvalidToken, UnicodeDecodeError) as error:
            raise DecryptionFailed(
                "encrypted with a key that is not in SECRET, or damaged"
            ) from error

    def is_current(self, sealed: bytes) -> bool:
        """Return whether a text was encrypted with the first key."""
        try:
            self._fernets[0].decrypt(sealed)
        except InvalidToken:
            return False
        return True
