"""Over TLS the event loop keeps a buffer of its own, and tells of it in its own manner: nothing may get lost in it."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from websockets.asyncio.client import connect

from tests.servers import serving
from tests.subscribers import read
from tidings import Identity, Limits, Settings, Tidings

pytestmark = pytest.mark.usefixtures("way")

LIST = "gift-list:1"
COUNT = 60


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


async def test_events_and_a_recovery_over_tls(certificate: Path) -> None:
    limits = Limits(recovery_events=0)
    live = Tidings(
        authenticate=lambda who: Identity(user=who.token),
        authorize={"gift-list:{list_id}": True},
        settings=Settings(limits=limits, cookie="session"),
    )
    app = Starlette()
    live.mount(app)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with serving(app, ssl_certfile=str(certificate)) as address:
        url = f"{address.websocket.replace('ws:', 'wss:')}"
        since = await live.publish(LIST, "ADDED", entity_id="0")
        page = {"Origin": address.http.replace("http:", "https:"), "Cookie": "session=ana"}
        async with connect(url, ssl=trusting, additional_headers=page, max_size=None) as client:
            assert (await read(client))["user"] == "ana", "the page's own origin is https"
            for number in range(1, COUNT + 1):
                await live.publish(LIST, "ADDED", entity_id=number, payload="x" * 100_000)
            await client.send(json.dumps({"type": "subscribe", "topics": [LIST], "since": {LIST: since}}))
            assert (await read(client))["topics"][LIST]["recovered"]
            for number in range(1, COUNT + 1):
                assert (await read(client))["data"]["entity_id"] == str(number)
                if number % 10 == 0:
                    await asyncio.sleep(0.02)  # so that the server is held back, and goes on later
            await live.publish(LIST, "ADDED", entity_id="live")
            assert (await read(client))["data"]["entity_id"] == "live"
            await (await client.ping())
        assert client.close_code == 1000
