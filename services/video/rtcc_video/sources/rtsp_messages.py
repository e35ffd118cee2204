"""RTSP 1.0 as bytes (RFC 2326): interleaved framing, responses, and HTTP Basic and Digest authentication (RFC 7617, 7616)."""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

_HEAD_LIMIT_BYTES: Final = 16 * 1024
_BODY_LIMIT_BYTES: Final = 64 * 1024
INTERLEAVED_MARK: Final = 0x24
_STATUS_LINE = re.compile(rb"RTSP/1\.[01] ([1-9][0-9]{2})(?: ([^\r\n]*))?")
_CHALLENGE_PAIR = re.compile(r'([a-zA-Z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
# rtspu: RTP over UDP from the start, as in RFC 2326, 3.2 (whose "u" was for the messages, too) and in GStreamer
_DEFAULT_PORTS: Final = {"rtsp": 554, "rtsps": 322, "rtspu": 554}


class MalformedRtsp(ValueError):
    """The peer doesn't speak RTSP, or breaks it."""


class UnusableAddress(ValueError):
    """A stream address that can't be opened; the message never repeats it, for it holds the password."""


@dataclass(frozen=True, slots=True)
class RtspAddress:
    """A camera's address; `uri` is what goes on the wire and holds no credentials. `udp`: RTP over UDP without trying TCP first."""

    host: str
    port: int
    encrypted: bool
    uri: str
    username: str = ""
    password: str = field(default="", repr=False)
    udp: bool = False


def parse_address(url: str) -> RtspAddress:
    """Cuts `rtsp://user:password@host:port/path` (or rtsps) to its parts. Raises `UnusableAddress`."""
    if len(url) > 2048 or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise UnusableAddress("The stream address is longer than 2,048 characters or has blanks in it; percent-encode them.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        raise UnusableAddress("The stream address isn't rtsp://user:password@host:port/path.") from None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise UnusableAddress("The stream address must begin with rtsp://, rtsps:// or rtspu:// and name a host.")
    if not url.isascii():
        raise UnusableAddress("The stream address has letters outside ASCII; percent-encode them.")
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port is None else f"{shown}:{port}"
    number = _DEFAULT_PORTS[parts.scheme] if port is None else port
    encrypted, udp = parts.scheme == "rtsps", parts.scheme == "rtspu"
    shown_scheme = "rtsp" if udp else parts.scheme
    return RtspAddress(host, number, encrypted, f"{shown_scheme}://{authority}{resource}", username, password, udp)


@dataclass(frozen=True, slots=True)
class RtspResponse:
    """A response; header names in lower case, repeated headers in order."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def first(self, name: str) -> str | None:
        """The first header of that name (lower case)."""
        return next((value for key, value in self.headers if key == name), None)


class Interleaved(NamedTuple):
    """One packet that travelled inside the connection (RFC 2326, 10.12)."""

    channel: int
    data: bytes


# Takes what it can of the interleaved packets in `buffer[at:]`, and says where it stopped: (buffer, at) -> at.
type TakePackets = Callable[[bytes, int], int]


class RtspReader:
    """Turns the bytes of a connection into responses and interleaved packets; requests of the server are skipped."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes, take: TakePackets | None = None) -> Iterator[RtspResponse | Interleaved]:
        """Everything complete so far, one by one, so that what `take` then gets instead may depend on it. Raises `MalformedRtsp`."""
        buffer = self._buffer + data if self._buffer else data
        self._buffer = b""
        offset, length = 0, len(buffer)
        while offset < length:
            if buffer[offset] == INTERLEAVED_MARK:
                if length - offset < 4:
                    break
                end = offset + 4 + (buffer[offset + 2] << 8 | buffer[offset + 3])
                if end > length:
                    break
                if take is not None and (taken := take(buffer, offset)) != offset:
                    offset = taken
                    continue
                yield Interleaved(buffer[offset + 1], buffer[offset + 4 : end])
                offset = end
            elif buffer[offset] in b"\r\n":
                offset += 1
            else:
                end, response = _read_text(buffer, offset)
                if end == offset:
                    break
                if response is not None:
                    yield response
                offset = end
        self._buffer = buffer[offset:]


def _read_text(buffer: bytes, offset: int) -> tuple[int, RtspResponse | None]:
    """Takes one text message if it is complete; where it ends, `offset` when more bytes are needed, and the response if it is one."""
    if not 65 <= buffer[offset] <= 90:
        raise MalformedRtsp("bytes that are neither an RTSP message nor an interleaved packet")
    end = buffer.find(b"\r\n\r\n", offset, offset + _HEAD_LIMIT_BYTES)
    if end < 0:
        if len(buffer) - offset >= _HEAD_LIMIT_BYTES:
            raise MalformedRtsp(f"a message head of more than {_HEAD_LIMIT_BYTES} bytes")
        return offset, None
    lines = buffer[offset:end].split(b"\r\n")
    headers = tuple(_header(line) for line in lines[1:] if b":" in line)
    size_text = next((value for name, value in headers if name == "content-length"), "0")
    if not re.fullmatch(r"[0-9]{1,6}", size_text) or int(size_text) > _BODY_LIMIT_BYTES:
        raise MalformedRtsp(f"a body of {size_text[:20]!r} bytes, at most {_BODY_LIMIT_BYTES} are taken")
    stop = end + 4 + int(size_text)
    if stop > len(buffer):
        return offset, None
    status = _STATUS_LINE.fullmatch(lines[0])
    if status is not None:
        return stop, RtspResponse(int(status[1]), (status[2] or b"").decode("latin-1"), headers, buffer[end + 4 : stop])
    if lines[0].startswith(b"RTSP/"):
        raise MalformedRtsp("a status line that isn't 'RTSP/1.0 <code> <reason>'")
    return stop, None


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name.strip().lower(), value.strip()


def build_request(method: str, uri: str, sequence: int, headers: Mapping[str, str]) -> bytes:
    """A request without body."""
    lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {sequence}", "User-Agent: OpenRTCC"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Authentication:
    """Answers a camera's challenge on every request of a session. Digest is preferred, SHA-256 over MD5."""

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password
        self._scheme = ""
        self._challenge: dict[str, str] = {}
        self._count = 0

    def accept(self, response: RtspResponse) -> bool:
        """Takes the challenges of a 401; False when there is none that we can answer or no account to answer with."""
        if not self._username:
            return False
        offered = [value for name, value in response.headers if name == "www-authenticate"]
        digests = [parse_challenge(value) for value in offered if value.lower().startswith("digest")]
        usable = [c for c in digests if c.get("algorithm", "MD5").upper() in _HASHES and "nonce" in c and "realm" in c]
        if usable:
            self._challenge = max(usable, key=lambda challenge: challenge.get("algorithm", "MD5").upper() == "SHA-256")
            self._scheme, self._count = "digest", 0
            return True
        self._scheme = "basic" if any(value.lower().startswith("basic") for value in offered) else ""
        return bool(self._scheme)

    def header(self, method: str, uri: str) -> dict[str, str]:
        """The Authorization header of a request; empty before a challenge."""
        if self._scheme == "basic":
            token = base64.b64encode(f"{self._username}:{self._password}".encode()).decode()
            return {"Authorization": f"Basic {token}"}
        if self._scheme == "digest":
            self._count += 1
            client_nonce = secrets.token_hex(8)
            return {"Authorization": digest_header(self._challenge, self._username, self._password, method, uri, self._count, client_nonce)}
        return {}


_HASHES: Final = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def parse_challenge(value: str) -> dict[str, str]:
    """The parameters of a WWW-Authenticate value, names in lower case."""
    return {name.lower(): (quoted or plain) for name, quoted, plain in _CHALLENGE_PAIR.findall(value[:4096])}


def digest_header(challenge: Mapping[str, str], username: str, password: str, method: str, uri: str, count: int, client_nonce: str) -> str:
    """A Digest answer (RFC 7616, 3.4), with `qop=auth` when the challenge offers it and the older form when not."""
    algorithm = challenge.get("algorithm", "MD5").upper()

    def digest(text: str) -> str:
        return _HASHES[algorithm](text.encode()).hexdigest()

    realm, nonce = challenge["realm"], challenge["nonce"]
    account, request = digest(f"{username}:{realm}:{password}"), digest(f"{method}:{uri}")
    fields = [f'username="{_quoted(username)}"', f'realm="{realm}"', f'nonce="{nonce}"', f'uri="{uri}"']
    if "auth" in [part.strip() for part in challenge.get("qop", "").split(",")]:
        counter = f"{count:08x}"
        answer = digest(f"{account}:{nonce}:{counter}:{client_nonce}:auth:{request}")
        fields += [f'response="{answer}"', "qop=auth", f"nc={counter}", f'cnonce="{client_nonce}"']
    else:
        fields.append(f'response="{digest(f"{account}:{nonce}:{request}")}"')
    if "algorithm" in challenge:
        fields.append(f"algorithm={challenge['algorithm']}")
    if "opaque" in challenge:
        fields.append(f'opaque="{challenge["opaque"]}"')
    return "Digest " + ", ".join(fields)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
