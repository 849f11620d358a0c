"""Encrypts tokens and cookies, and signs cursors, with keys derived from `SECRET`.

Each purpose has its own. Source: cryptography.io/en/latest/fernet (AES-128-CBC and HMAC-SHA256
under one key).
"""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from server.errors import DecryptionFailed


class Encryption:
    """Encrypts with the first of comma-separated keys, decrypts with any of them.

    So keys can be rotated. What one `purpose` encrypts no other can decrypt.
    """

    def __init__(self, secret: str, purpose: str) -> None:
        keys = _derived(secret, purpose)
        self._fernets = [Fernet(base64.urlsafe_b64encode(key)) for key in keys]
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


class Signatures:
    """Signs with the first of comma-separated keys, and accepts what any of them has signed.

    The same content always has the same signature, of SIZE bytes (HMAC-SHA256, RFC 2104 section 5).
    """

    SIZE = 16

    def __init__(self, secret: str, purpose: str) -> None:
        self._keys = _derived(secret, purpose)

    def sign(self, content: bytes) -> bytes:
        """Return the signature of a content."""
        return self._signed(content, self._keys[0])

    def is_valid(self, content: bytes, signature: bytes) -> bool:
        """Return whether a signature of a content was made with one of the keys."""
        return any(hmac.compare_digest(self._signed(content, key), signature) for key in self._keys)

    def _signed(self, content: bytes, key: bytes) -> bytes:
        return hmac.digest(key, content, "sha256")[: self.SIZE]


def _derived(secret: str, purpose: str) -> list[bytes]:
    """Derive a key for a purpose from each of comma-separated keys."""
    keys = [part.strip().encode() for part in secret.split(",")]
    return [hashlib.sha256(f"freshet {purpose} ".encode() + key).digest() for key in keys]
