"""One HTTP request to a device (RFC 9112), bounded in time and bytes; redirects aren't followed."""

import asyncio
import re
import ssl
from typing import Final

from rtcc_video.onvif.address import DeviceAddress
from rtcc_video.sources.rtsp_messages import RtspResponse
from rtcc_video.sources.source import SourceFailed

_HEAD_BYTES_MOST: Final = 16 * 1024
_BODY_BYTES_MOST: Final = 1 << 20
_HEADERS_MOST: Final = 64
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?")


class MalformedHttp(ValueError):
    """The peer doesn't speak HTTP, or sends more than is taken."""


async def post(
    address: DeviceAddress, ip: str, tls: ssl.SSLContext | None, body: bytes, headers: dict[str, str], timeout_s: float
) -> RtspResponse:
    """Posts SOAP to `ip`, which was found for the address and is in the allowed networks. Raises `SourceFailed`."""
    lines = [f"POST {address.path} HTTP/1.1", f"Host: {address.authority}", "Content-Type: application/soap+xml; charset=utf-8"]
    lines += [
        f"Content-Length: {len(body)}",
        "Connection: close",
        "User-Agent: OpenRTCC",
        *(f"{name}: {text}" for name, text in headers.items()),
    ]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(
                ip, address.port, ssl=tls if address.encrypted else None, limit=_HEAD_BYTES_MOST,
                server_hostname=address.host if address.encrypted else None,
            )  # fmt: skip
            try:
                writer.write(request)
                await writer.drain()
                return await _response(reader)
            finally:
                writer.close()
    except TimeoutError:
        raise SourceFailed(f"The device didn't answer within {timeout_s:.0f} s.") from None
    except ssl.SSLCertVerificationError as error:
        raise SourceFailed("The device's certificate isn't believed: name its authority in camera_authority_file.", lasting=True) from error
    except (MalformedHttp, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise SourceFailed("The device's answer isn't HTTP that is taken: is this its ONVIF port?", lasting=True) from error
    except OSError as error:
        raise SourceFailed("The device can't be reached: check host and port, and whether it is on.") from error


async def _response(reader: asyncio.StreamReader) -> RtspResponse:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head[:-4].split(b"\r\n")
        status = _STATUS_LINE.fullmatch(lines[0])
        if status is None or len(lines) > _HEADERS_MOST:
            raise MalformedHttp("no status line, or too many headers")
        # 100 Continue announces the answer
        if not 100 <= int(status[1]) < 200:
            break
    headers = tuple(_header(line) for line in lines[1:])
    named = dict(headers)
    if "chunked" in named.get("transfer-encoding", "").lower():
        body = await _chunks(reader)
    elif "content-length" in named:
        body = await reader.readexactly(_size(named["content-length"], 10))
    else:
        body = await _rest(reader)
    return RtspResponse(int(status[1]), "", headers, body)


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name.strip().lower(), value.strip()


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError:
        raise MalformedHttp("a length that is no number") from None
    if not 0 <= size <= _BODY_BYTES_MOST:
        raise MalformedHttp("a body that is too large")
    return size


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = _size(line.split(b";")[0].strip().decode("latin-1"), 16)
        if size == 0:
            return body
        body += await reader.readexactly(size)
        if len(body) > _BODY_BYTES_MOST or await reader.readexactly(2) != b"\r\n":
            raise MalformedHttp("chunks that don't fit together, or too many")


async def _rest(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while part := await reader.read(1 << 16):
        body += part
        if len(body) > _BODY_BYTES_MOST:
            raise MalformedHttp("a body that is too large")
    return body
