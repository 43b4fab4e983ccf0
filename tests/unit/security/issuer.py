"""A real identity provider on loopback: discovery, key set, and tokens it signs."""

import base64
import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64_number(value: int, size: int) -> str:
    return b64(value.to_bytes(size, "big"))


class Signer:
    """One private key, able to sign tokens and to show its public half as a JWK."""

    def __init__(self, kid: str, algorithm: str, bits: int = 2048) -> None:
        self.kid, self.algorithm = kid, algorithm
        if algorithm == "RS256":
            self.key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        elif algorithm == "ES256":
            self.key = ec.generate_private_key(ec.SECP256R1())
        else:
            self.key = ed25519.Ed25519PrivateKey.generate()

    def jwk(self) -> dict[str, str]:
        shown = {"kid": self.kid, "use": "sig", "alg": self.algorithm}
        public = self.key.public_key()
        if self.algorithm == "RS256":
            numbers = public.public_numbers()
            size = public.key_size // 8
            return {
                **shown,
                "kty": "RSA",
                "n": b64_number(numbers.n, size),
                "e": b64_number(numbers.e, 3),
            }
        if self.algorithm == "ES256":
            numbers = public.public_numbers()
            x, y = b64_number(numbers.x, 32), b64_number(numbers.y, 32)
            return {**shown, "kty": "EC", "crv": "P-256", "x": x, "y": y}
        return {
            **shown,
            "kty": "OKP",
            "crv": "Ed25519",
            "x": b64(public.public_bytes_raw()),
        }

    def sign(self, signed: bytes) -> bytes:
        if self.algorithm == "RS256":
            return self.key.sign(signed, padding.PKCS1v15(), SHA256())
        if self.algorithm == "ES256":
            r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return self.key.sign(signed)

    def token(self, claims: dict[str, object], **header: object) -> str:
        head = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT", **header}
        return sign_raw(json.dumps(head), json.dumps(claims), self.sign)


def sign_raw(header: str, claims: str, sign) -> str:
    signed = f"{b64(header.encode())}.{b64(claims.encode())}"
    return f"{signed}.{b64(sign(signed.encode()))}"


class LocalIssuer:
    """Serves its documents over real HTTP and counts who asks."""

    def __init__(self) -> None:
        self.signers: list[Signer] = []
        self.requests: list[str] = []
        self.status = 200
        self.delay_seconds = 0.0
        self.document: dict[str, object] | None = None
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                time.sleep(issuer.delay_seconds)
                body = json.dumps(issuer.answer(self.path)).encode()
                self.send_response(issuer.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(ConnectionError):  # who asked may have given up
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.thread.start()

    def answer(self, path: str) -> dict[str, object]:
        if path == "/.well-known/openid-configuration":
            return self.document or {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
            }
        return {"keys": [signer.jwk() for signer in self.signers]}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
