"""RTSP requests and answers as text (RFC 2326), and HTTP Digest authentication (RFC 2617) as cameras use it."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    459: "Aggregate Operation Not Allowed",
    461: "Unsupported Transport",
}
REALM = "street camera"
_PAIR = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]*))')


class BadRequest(ValueError):
    """The client's text isn't an RTSP request."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not an RTSP request: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names in lower case."""

    method: str
    uri: str
    headers: Mapping[str, str]

    @property
    def sequence(self) -> str:
        return self.headers.get("cseq", "0")

    @property
    def content_bytes(self) -> int:
        return int(self.headers.get("content-length", "0"))

    @property
    def path(self) -> str:
        """The camera's path, without slashes around it and without the track."""
        path = unquote(urlsplit(self.uri).path).strip("/")
        return path.removesuffix("trackID=0").removesuffix("trackID=1").strip("/")


def parse_request(head: bytes) -> Request:
    """Reads request line and headers, up to and with the empty line. Raises BadRequest."""
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise BadRequest("it isn't UTF-8") from None
    parts = lines[0].split(" ")
    if len(parts) != 3 or parts[2] != "RTSP/1.0":
        raise BadRequest("the first line must be METHOD URI RTSP/1.0")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        if line:
            name, colon, value = line.partition(":")
            if not colon:
                raise BadRequest("a header lacks its colon")
            headers[name.strip().lower()] = value.strip()
    if not re.fullmatch(r"[0-9]{1,5}", headers.get("content-length", "0")):
        raise BadRequest("Content-Length must be a small number")
    if not re.fullmatch(r"[0-9]{1,10}", headers.get("cseq", "")):
        raise BadRequest("CSeq is missing")
    try:
        urlsplit(parts[1])
    except ValueError:
        raise BadRequest("the address can't be read") from None
    return Request(parts[0], parts[1], headers)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def encode(self, sequence: str) -> bytes:
        """The bytes to send; `sequence` is the request's CSeq."""
        lines = [f"RTSP/1.0 {self.status} {REASONS[self.status]}", f"CSeq: {sequence}", "Server: OpenRTCC demo camera"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class DigestCheck:
    """Verifies Digest answers to one connection's nonce. `algorithm`: MD5 as most cameras, or SHA-256 (RFC 7616)."""

    def __init__(self, username: str, password: str, algorithm: str = "MD5") -> None:
        self._username = username
        self._algorithm = algorithm
        self._nonce = secrets.token_hex(16)
        self._secret = self._hash(f"{username}:{REALM}:{password}")

    @property
    def challenge(self) -> str:
        """The value of WWW-Authenticate."""
        return f'Digest realm="{REALM}", nonce="{self._nonce}", algorithm={self._algorithm}'

    def allows(self, request: Request) -> bool:
        """Whether the request proves knowledge of the password (RFC 2617 section 3.2.2, with and without qop)."""
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "digest":
            return False
        given = {name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(rest)}
        if given.get("nonce") != self._nonce or given.get("username") != self._username:
            return False
        request_hash = self._hash(f"{request.method}:{given.get('uri', '')}")
        middle = f"{given.get('nc', '')}:{given.get('cnonce', '')}:{given['qop']}:" if "qop" in given else ""
        wanted = self._hash(f"{self._secret}:{self._nonce}:{middle}{request_hash}")
        return hmac.compare_digest(wanted.encode(), given.get("response", "").encode())

    def _hash(self, text: str) -> str:
        chosen = hashlib.sha256 if self._algorithm == "SHA-256" else hashlib.md5
        return chosen(text.encode(), usedforsecurity=False).hexdigest()
