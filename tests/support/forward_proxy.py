"""A forward proxy on loopback, as companies have: CONNECT tunnels to one address."""

import asyncio
import ssl
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.app.upstream import utc_now


class ForwardProxy:
    """Opens each tunnel to `port` of this machine; `heads` are the requests that it was sent.

    With `answer` it answers that, and closes. With `context` it speaks TLS inside of tunnels in
    place of the host that was asked for.
    """

    def __init__(
        self, port: int, *, answer: bytes | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self._to = port
        self._answer = answer
        self._context = context
        self.heads: list[str] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self._answer or b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            if self._answer is None:
                if self._context is not None:
                    await writer.start_tls(self._context)
                there = await asyncio.open_connection("127.0.0.1", self._to)
                await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def certify(folder: Path, *hosts: str) -> tuple[ssl.SSLContext, Path]:
    """Make a TLS context for a server of `hosts`, and the certificate file for clients."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A company")])
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "company.pem", folder / "company.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, private)
    return context, certificate
