"""TLS settings reach the server, and what is wrong with certificates is said.

The wheel's PostgreSQL is built without TLS, so a front of the test's own speaks it: it answers libpq's SSLRequest as a
server does, makes the handshake with real certificates, and hands what comes on to the real server.
"""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lab import value
from psycopg import conninfo

from hypertape.api.pool import Warehouse
from hypertape.errors import DatabaseRefused
from hypertape.settings import load_settings
from hypertape.warehouse.connect import connect, resolve_dsn, resolve_reader_dsn

SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


def certify(name, issuer=None, key_of_issuer=None):
    """A certificate of a year around now, signed by its issuer, else by itself; with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key_of_issuer or key, hashes.SHA256()), key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Files of PEM: an authority, another one, and of the first a server's and a client's certificate."""
    directory = tmp_path_factory.mktemp("tls")
    authority, key = certify("tape authority")
    made = {"ca": (authority, key), "other": certify("somebody else")}
    made |= {name: certify(name, authority, key) for name in ("server", "client")}
    for name, (certificate, secret) in made.items():
        (directory / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        text = secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (directory / f"{name}.key").write_bytes(text)
        (directory / f"{name}.key").chmod(0o600)
    return directory


def pump(source, target):
    try:
        while data := source.recv(65_536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            end.close()


@contextmanager
def tls_front(dsn, certificates):
    """A port that speaks TLS only, demands a client's certificate, and leads to the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    context.load_verify_locations(certificates / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    given = conninfo.conninfo_to_dict(dsn)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=meet, args=(client,), daemon=True).start()

    def meet(client):
        try:
            if client.recv(8) != SSL_REQUEST:
                raise OSError("no TLS asked for")
            client.sendall(b"S")
            inner = context.wrap_socket(client, server_side=True)
        except OSError:  # ssl.SSLError too: the test sees what the client says of it
            client.close()
            return
        server = socket.create_connection((given["host"], int(given["port"])))
        threading.Thread(target=pump, args=(inner, server), daemon=True).start()
        pump(server, inner)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


@pytest.fixture(scope="module")
def front(server_dsn, certificates):
    with tls_front(server_dsn, certificates) as port:
        yield port


def through(front, server_dsn, **tls):
    given = {**conninfo.conninfo_to_dict(server_dsn), "port": front, **tls}
    return conninfo.make_conninfo(**given)


def whole(certificates):
    return {
        "sslmode": "verify-full",
        "sslrootcert": str(certificates / "ca.crt"),
        "sslcert": str(certificates / "client.crt"),
        "sslkey": str(certificates / "client.key"),
    }


def test_every_way_to_the_warehouse_speaks_tls(front, server_dsn, certificates):
    """Whatever spelling: the settings' address, its reader's, and the API's pool keep what libpq knows."""
    dsn = through(front, server_dsn, **whole(certificates))
    settings = load_settings(database_url=dsn, reader_database_url=dsn)
    for address in (resolve_dsn(settings), resolve_reader_dsn(settings)):
        assert "sslmode=verify-full" in address
        with connect(address) as connection:
            assert connection.pgconn.ssl_in_use
            assert value(connection, "select 1") == 1
    pool = Warehouse(lambda: resolve_reader_dsn(settings), size=1)
    try:
        assert pool.run(lambda connection: connection.pgconn.ssl_in_use)
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        pytest.param(
            {"sslrootcert": "other.crt"}, "certificate verify failed", id="an authority nobody knows"
        ),
        pytest.param({"host": "localhost"}, "localhost", id="another host than the certificate's"),
        pytest.param({"sslcert": "", "sslkey": ""}, "certificate", id="no certificate of the client's"),
        pytest.param({"sslrootcert": "missing.crt"}, "missing.crt", id="a file that is not there"),
    ],
)
def test_a_wrong_certificate_is_refused_with_the_reason(front, server_dsn, certificates, wrong, told):
    files = {
        name: str(certificates / text) if text.endswith((".crt", ".key")) else text
        for name, text in wrong.items()
    }
    dsn = through(front, server_dsn, **{**whole(certificates), **files})
    with pytest.raises(DatabaseRefused) as refused:
        connect(dsn)
    assert told in str(refused.value)
    assert conninfo.conninfo_to_dict(server_dsn)["password"] not in str(refused.value)


def test_a_server_without_tls_is_refused_where_tls_is_demanded(server_dsn):
    with pytest.raises(DatabaseRefused, match="does not support SSL"):
        connect(conninfo.make_conninfo(server_dsn, sslmode="require"))
