"""Certificates are checked against the name that was asked for, although the connection goes to an address."""

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backend.outside.addresses import AddressRefused
from backend.outside.fetch import Fetcher, HostUnavailable


def write_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for `name` that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@pytest.fixture
def secure_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Port on 127.0.0.1 of a server that is `secure.test` and is trusted, by its certificate."""
    certificate, key = write_certificate(tmp_path, "secure.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    asked = connection.recv(65536)
                    target = b"http://secure.test/plain" if b"/down" in asked else b""
                    head = b"302 Found\r\nlocation: " + target if target else b"200 OK"
                    connection.sendall(b"HTTP/1.1 " + head + b"\r\ncontent-length: 2\r\n\r\nok")
            except OSError:
                plain.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=5)


def to_this_machine(host: str, port: int) -> list[tuple[Any, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


def test_certificate_is_that_of_the_name(secure_port: int) -> None:
    with Fetcher(allow_private_addresses=True, resolve=to_this_machine) as fetcher:
        answer = fetcher.fetch(f"https://secure.test:{secure_port}/", limit=lambda *_: 100)
        assert (answer.status, answer.body) == (200, b"ok")
        with pytest.raises(HostUnavailable):
            fetcher.fetch(f"https://other.test:{secure_port}/", limit=lambda *_: 100)


def test_redirect_to_plain_http_is_refused(secure_port: int) -> None:
    with (
        Fetcher(allow_private_addresses=True, resolve=to_this_machine) as fetcher,
        pytest.raises(AddressRefused, match="plain http"),
    ):
        fetcher.fetch(f"https://secure.test:{secure_port}/down", limit=lambda *_: 100)
