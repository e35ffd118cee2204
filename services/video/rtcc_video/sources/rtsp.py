"""An RTSP camera as a source: RTP over the RTSP connection itself (RFC 2326, 10.12), so that one open port is enough, or over UDP."""

import asyncio
import os
import ssl

from rtcc_video.engine.h264 import MalformedBitstream
from rtcc_video.engine.sdp import OtherCodec, UnusableOffer
from rtcc_video.sources.leisure import Leisure
from rtcc_video.sources.rtsp_messages import MalformedRtsp, RtspAddress
from rtcc_video.sources.rtsp_session import RtspSession, RtspSettings
from rtcc_video.sources.rtsp_sound import RtspSound
from rtcc_video.sources.sound_inlet import SoundWay
from rtcc_video.sources.source import NeedsConversion, Sink, SourceFailed

__all__ = ["RtspSettings", "RtspSource"]


class RtspSource:
    """Plays one camera. Each `run` is one session: connect, DESCRIBE, SETUP, PLAY, pictures until it breaks.

    `leisure`: who reads it while nobody watches live; None: it is always read at once. `sound`: where its sound goes; None: it isn't asked
    for any.
    """

    def __init__(self, address: RtspAddress, settings: RtspSettings, leisure: Leisure | None = None, sound: SoundWay | None = None) -> None:
        self._address = address
        self._settings = settings
        self._leisure = leisure
        self._sound = sound

    async def run(self, sink: Sink) -> None:
        """See `Source.run`."""
        sound = RtspSound(self._sound) if self._sound is not None else None
        session = await self._connect(sink, sound)
        try:
            await session.play()
            await session.watch()
        except SourceFailed:
            if sound is not None:
                sound.on_failure()
            raise
        except OtherCodec as error:
            raise NeedsConversion(error.codec, str(error)) from error
        except (MalformedRtsp, UnusableOffer, MalformedBitstream) as error:
            if sound is not None:
                sound.on_failure()
            raise SourceFailed(f"The camera's RTSP can't be used: {error}", lasting=True) from error
        finally:
            session.close()

    async def _connect(self, sink: Sink, sound: RtspSound | None) -> RtspSession:
        address, settings = self._address, self._settings
        loop = asyncio.get_running_loop()
        context = _tls_context(settings) if address.encrypted else None
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                _, session = await loop.create_connection(
                    lambda: RtspSession(address, settings, sink, self._leisure, sound), address.host, address.port, ssl=context
                )
        except TimeoutError:
            raise SourceFailed("The camera doesn't answer. Check its power, network and address.") from None
        except ssl.SSLCertVerificationError as error:
            why = "Its certificate isn't trusted, has ended, or names another host."
            raise SourceFailed(f"The camera can't be reached safely: {why}", lasting=True) from error
        except ssl.SSLError as error:
            raise SourceFailed("The camera's TLS can't be used: it speaks none on this port, or an old one.", lasting=True) from error
        except OSError as error:
            # Neither host nor port: the reason is shown to whoever may see the camera, partners included.
            known = isinstance(error.errno, int) and error.errno > 0
            why = os.strerror(error.errno or 0) if known else "its name isn't known to the network or has no usable address"
            raise SourceFailed(f"The camera can't be reached: {why}. Check its power, network and address.") from error
        return session


def _tls_context(settings: RtspSettings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.authority_file is not None:
        context.load_verify_locations(cafile=settings.authority_file)
    if not settings.verify_certificates:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
