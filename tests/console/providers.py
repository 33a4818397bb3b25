"""An identity provider that people sign in with: a page that asks, codes, and what they are exchanged for."""

import base64
import hashlib
import html
import secrets
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from issuers import Issuer

CLIENT = "console"
SECRET = "s3cret: of the console"
FORM = """<!DOCTYPE html><html lang="en"><title>Provider</title>
<form method="post" action="{action}"><button>Let me in</button></form></html>"""


class Provider(Issuer):
    """Signs in whoever `person` says; what it does wrong is up to a test."""

    def __init__(self):
        # Another site than the server's, which is at an address: the browser treats it so.
        super().__init__(host="localhost", path="/realm")
        self.codes: dict[str, dict[str, str]] = {}
        self.exchanged: list[str] = []
        self.behave()

    def behave(self, **person) -> None:
        """Does everything right from now on, for `person`."""
        self.person = {"sub": "ann", "email": "ann@example.org"} | person
        # A page that asks before it sends the browser back.
        self.asks = False
        # What comes over that with which the browser is sent back; nothing leaves it out.
        self.over: dict[str, str | None] = {}
        # What comes over the claims of a token.
        self.claims: dict[str, str] = {}
        # The status and the document of the token endpoint.
        self.refuses: tuple[int, dict] | None = None

    def documents(self) -> dict[str, dict]:
        """With where people sign in."""
        documents = super().documents()
        documents[f"{self.path}/.well-known/openid-configuration"] |= {
            "authorization_endpoint": f"{self.site}/authorize?realm=test",
            "token_endpoint": f"{self.site}/token",
            "authorization_response_iss_parameter_supported": True,
        }
        return documents

    def get(self, request) -> None:
        """Asks, or sends the browser back at once."""
        if not request.path.startswith("/authorize?"):
            super().get(request)
        elif self.asks:
            request.send_response(200)
            request.send_header("content-type", "text/html")
            request.end_headers()
            request.wfile.write(FORM.format(action=html.escape(request.path)).encode())
        else:
            self.send_back(request)

    def post(self, request, form: dict[str, str]) -> None:
        """Somebody is let in, or the server redeems a code."""
        if request.path.startswith("/authorize?"):
            self.send_back(request)
        else:
            request.answer(*(self.refuses or self.redeem(request, form)))

    def send_back(self, request) -> None:
        """Sends the browser back with a code."""
        query = parse_qs(urlsplit(request.path).query)
        asked = {name: values[0] for name, values in query.items()}
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT, asked
        assert asked["code_challenge_method"] == "S256" and asked["realm"] == "test", asked
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.url} | self.over
        answer = {name: value for name, value in answer.items() if value is not None}
        request.send_response(303)
        request.send_header("location", f"{asked['redirect_uri']}?{urlencode(answer)}")
        request.end_headers()

    def redeem(self, request, form: dict[str, str]) -> tuple[int, dict]:
        """An ID token for a code that is new, from the console, with its verifier."""
        pair = f"{quote(CLIENT, safe='')}:{quote(SECRET, safe='')}".encode()
        if request.headers["authorization"] != f"Basic {base64.b64encode(pair).decode()}":
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code", ""), {})
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        fits = (asked.get("code_challenge"), asked.get("redirect_uri"))
        if fits != (challenge, form.get("redirect_uri")):
            return 400, {"error": "invalid_grant"}
        self.exchanged.append(form["code"])
        claims = {"audience": CLIENT, "subject": self.person["sub"], "nonce": asked["nonce"]}
        more = {name: value for name, value in self.person.items() if name != "sub"}
        token = self.token(**(claims | more | self.claims))
        return 200, {"id_token": token, "access_token": "opaque", "token_type": "Bearer"}
