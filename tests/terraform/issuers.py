"""An OpenID Connect provider on this machine, as GitHub's is: a discovery document, keys, ID tokens."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

# Where a GitHub of one's own has its issuer; the run's page is then at the same host.
PATH = "/_services/token"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """A provider with one key; `close` ends it."""

    def __init__(self, host: str = "127.0.0.1", path: str = PATH):
        self.asked: list[str] = []
        self.rotate("key-1")
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            """Hands requests to the provider."""

            def do_GET(self):
                """A document, or 404."""
                issuer.asked.append(self.path)
                issuer.get(self)

            def do_POST(self):
                """What a form asks for."""
                issuer.asked.append(self.path)
                length = int(self.headers.get("content-length", 0))
                form = parse_qs(self.rfile.read(length).decode(), keep_blank_values=True)
                issuer.post(self, {name: values[0] for name, values in form.items()})

            def answer(self, status: int, document: dict) -> None:
                """Answers with JSON."""
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_):
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.site = f"http://{host}:{self.server.server_port}"
        self.path = path
        self.url = self.site + path

    def get(self, request) -> None:
        """Answers with a document, or 404."""
        document = self.documents().get(request.path)
        request.answer(200 if document else 404, document or {})

    def post(self, request, _form: dict[str, str]) -> None:
        """Takes no forms."""
        request.answer(404, {})

    def rotate(self, kid: str) -> None:
        """Signs with a new key from now on, and publishes no other."""
        self.kid = kid
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def documents(self) -> dict[str, dict]:
        """What is published, by path."""
        numbers = self.key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": _text(numbers.n.to_bytes(256, "big")),
            "e": _text(numbers.e.to_bytes(3, "big")),
        }
        discovery = {"issuer": self.url, "jwks_uri": f"{self.site}/keys"}
        return {f"{self.path}/.well-known/openid-configuration": discovery, "/keys": {"keys": [key]}}

    def token(self, audience: str, subject: str, lives_s: int = 600, **claims: str) -> str:
        """An ID token of a run."""
        now = int(time.time())
        header = {"alg": "RS256", "typ": "JWT", "kid": self.kid}
        payload = {"iss": self.url, "aud": audience, "sub": subject, "iat": now} | claims
        payload["exp"] = now + lives_s
        signed = ".".join(_text(json.dumps(part).encode()) for part in (header, payload))
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_text(signature)}"

    def close(self) -> None:
        """Answers no more."""
        self.server.shutdown()
        self.server.server_close()
