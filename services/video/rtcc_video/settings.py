"""Every setting of the video service, read from RTCC_VIDEO_<NAME>."""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rtcc_chassis.settings import InvalidSetting
from rtcc_video.engine.endpoint import EndpointSettings
from rtcc_video.engine.stream import StreamLimits
from rtcc_video.hls.limits import HlsLimits, WindowLimits
from rtcc_video.onvif.device import Reach
from rtcc_video.publishing.publisher import PublisherSettings
from rtcc_video.recording.segmenter import SegmentLimits
from rtcc_video.sources.rtsp import RtspSettings

_HOST_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,252}")


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """Sizes in bytes, times in seconds."""

    # host:port for media, one number for UDP and TCP; port 0: any free one. On a machine with several addresses bind the announced one.
    media_listen: str = "127.0.0.1:0"
    # where browsers reach media_listen; empty: its host
    public_addresses: tuple[str, ...] = ()
    # offered to viewers whose network needs them: "stun:host:port", "turn:host:port?transport=udp", "turns:..." (RFC 7064, RFC 7065)
    ice_servers: tuple[str, ...] = ()
    # the TURN servers' shared secret (coturn's static-auth-secret), from which each viewer's own account is made; empty: no account
    turn_secret: str = field(default="", repr=False)
    # how long such an account can be used to begin
    turn_account_s: int = 3600
    # the optional C helper that halves what a viewer costs: "auto" uses it where it can be had, "off" never
    helper: str = "auto"
    # ICE over TCP for networks that block UDP
    media_tcp: bool = True
    viewer_limit: int = 400
    camera_limit: int = 500
    # devices that send by themselves (WHIP), and what each is told to send at most, kbit/s
    publisher_limit: int = 100
    publisher_kbps: int = 4_000
    # an agency's share of viewer_limit, so that one can't take all
    agency_viewer_limit: int = 200
    # a view ends after this long and must be asked for again (R4)
    view_limit_s: int = 12 * 3600
    # live views over HTTPS (HLS), for networks that let no WebRTC through: in all, of one person, and of how many cameras at once, of which
    # each keeps up to hls_window_bytes in memory while somebody watches it so
    hls_viewer_limit: int = 200
    hls_person_viewer_limit: int = 24
    hls_camera_limit: int = 64
    hls_window_bytes: int = 10_000_000
    # nothing fetched for so long ends such a view
    hls_idle_s: float = 10.0
    # no sign of life from a browser for so long ends its view
    consent_timeout_s: float = 30.0
    # for cameras whose registration doesn't say: "at_once" keeps them connected, so that joining is instant; "on_demand" connects with
    # the first viewer
    source_start: str = "at_once"
    # a stream that is pulled on demand is let go so long after its last viewer
    source_idle_s: float = 30.0
    # clips that cameras may name as file:<name>; empty: none
    files_folder: Path | None = None
    # CIDR networks in which cameras may stand; empty: any. Keeps an address typed in the registry from probing other machines.
    camera_networks: tuple[str, ...] = ()
    verify_camera_certificates: bool = True
    # PEM file of further certificate authorities whose cameras are believed
    camera_authority_file: Path | None = None
    # where ONVIF devices are looked for, host:port
    onvif_discovery: str = "239.255.255.250:3702"
    # "by_policy": a camera's sound is asked for, heard and recorded where its agency and its registration allow it; "off": never, nowhere
    sound: str = "by_policy"
    # what one camera may send for 5 s on end, kbit/s
    camera_rate_limit_kbps: int = 60_000
    # one picture of one camera
    unit_limit_bytes: int = 4_000_000
    # the cached group of pictures of one camera, for joiners
    group_limit_bytes: int = 4_000_000
    group_limit_s: float = 4.0
    # streams that are converted at once (H.265, MJPEG, B-frames), each in a process of its own with a good part of a core; and to what
    transcoder_limit: int = 4
    transcoder_kbps: int = 2_500
    transcoder_height_px: int = 1080
    # processes that make Opus of cameras' sound while somebody hears it, 15 MB each: one for each stream of AAC, one for 64 of G.711
    sound_converter_limit: int = 8
    snapshot_age_s: float = 3.0
    snapshot_width_px: int = 960
    # through which recorded segments go to the object store; empty: this process records nothing
    spool_folder: Path | None = None
    # how much of it may wait there while the object store is away; beyond it nothing more is recorded
    spool_limit_bytes: int = 8 * 1024**3
    # a segment is cut at the first key picture after so long: what a kill loses at most, and the step of a playlist
    segment_s: float = 4.0
    # Ed25519 private key (PEM) that signs exports; empty: none can be made
    evidence_key_file: Path | None = None
    # host:port (TCP) at which other relays take this one's pictures, inside the installation's network only; port 0: any free one. Empty:
    # this relay takes part in no cascade, and every camera is its own
    cascade_listen: str = ""
    # the host at which other processes reach this one, by gRPC and at cascade_listen; empty: that of rpc_listen
    relay_address: str = ""
    # a relay that isn't heard for so long is taken for lost
    relay_lease_s: float = 1.2
    # a relay that isn't heard lets go of its cameras when another one says so, or after so long when no other answers; 0: then never
    relay_cut_off_s: float = 10.0
    # how long a relay that is stopped waits for its viewers to go to another one
    drain_s: float = 12.0
    # compare key pictures as well, one in two seconds of each recorded camera, in a process of its own: finds motion that encoders hide in
    # noise (docs/operations/analytics.md has what it costs)
    motion_key_pictures: bool = False
    # an ONNX model that looks at key pictures of recordings, its SHA-256, and a JSON file that declares its input, output and labels
    # (docs/operations/analytics.md); empty: none. Of several relays one does it for all
    detector_model_file: Path | None = None
    detector_model_sha256: str = ""
    detector_declaration_file: Path | None = None
    # pictures that wait longer are left out, and counted
    detector_backlog_s: float = 6 * 3600
    # what its process may take for itself, MiB
    detector_memory_limit_mb: int = 1500
    # how often footage whose time is over is looked for (R22)
    retention_sweep_s: float = 60.0

    def endpoint(self) -> EndpointSettings:
        """The engine's socket settings. Raises `InvalidSetting`."""
        host, _, port = self.media_listen.rpartition(":")
        host = host.strip("[]")
        if not host or not port.isdigit() or int(port) > 65535:
            raise InvalidSetting("RTCC_VIDEO_MEDIA_LISTEN", f"{self.media_listen!r} is not host:port")
        addresses = self.public_addresses or (host,)
        if any(address in ("0.0.0.0", "::") for address in addresses):
            raise InvalidSetting("RTCC_VIDEO_PUBLIC_ADDRESSES", "browsers need a real address when media_listen is a wildcard; name it")
        return EndpointSettings(
            bind_host=host,
            port=int(port),
            public_addresses=addresses,
            tcp=self.media_tcp,
            viewer_limit=self.viewer_limit,
            consent_timeout_s=self.consent_timeout_s,
        )

    def cascade_place(self) -> tuple[str, int] | None:
        """Host and port of `cascade_listen`; None for a relay by itself. Raises `InvalidSetting`."""
        if not self.cascade_listen:
            return None
        host, _, port = self.cascade_listen.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise InvalidSetting("RTCC_VIDEO_CASCADE_LISTEN", f"{self.cascade_listen!r} is not host:port")
        if self.relay_address and not _is_host(self.relay_address):
            raise InvalidSetting("RTCC_VIDEO_RELAY_ADDRESS", f"{self.relay_address!r} is neither an IP address nor a host's name")
        return host.strip("[]"), int(port)

    def accelerate(self) -> Literal["auto", "off"]:
        """Whether the C helper is wanted. Raises `InvalidSetting`."""
        if self.helper == "auto":
            return "auto"
        if self.helper == "off":
            return "off"
        raise InvalidSetting("RTCC_VIDEO_HELPER", f"{self.helper!r} is neither auto nor off")

    def sound_by_policy(self) -> bool:
        """Whether agencies decide about sound; else there is none. Raises `InvalidSetting`."""
        if self.sound not in ("by_policy", "off"):
            raise InvalidSetting("RTCC_VIDEO_SOUND", f"{self.sound!r} is neither by_policy nor off")
        return self.sound == "by_policy"

    def segment_limits(self) -> SegmentLimits:
        """How recordings are cut."""
        return SegmentLimits(self.segment_s, max(12.0, 3 * self.segment_s))

    def hls(self) -> HlsLimits:
        """What views over HTTPS are held to."""
        window = WindowLimits(window_bytes=self.hls_window_bytes)
        return HlsLimits(
            self.hls_viewer_limit, self.hls_person_viewer_limit, self.hls_camera_limit, self.hls_idle_s, self.view_limit_s, window
        )

    def stream_limits(self) -> StreamLimits:
        """The bounds of one camera's memory."""
        return StreamLimits(self.group_limit_bytes, self.group_limit_s)

    def rtsp(self) -> RtspSettings:
        """The RTSP client's settings."""
        return RtspSettings(
            unit_limit_bytes=self.unit_limit_bytes,
            rate_limit_kbps=self.camera_rate_limit_kbps,
            verify_certificates=self.verify_camera_certificates,
            authority_file=self.camera_authority_file,
        )

    def reach(self) -> Reach:
        """Where ONVIF devices may stand and how they are believed: as cameras' streams."""
        networks = tuple(ipaddress.ip_network(text, strict=False) for text in self.camera_networks)
        return Reach(networks, self.verify_camera_certificates, self.camera_authority_file)

    def discovery_target(self) -> tuple[str, int]:
        """Raises `InvalidSetting`."""
        host, _, port = self.onvif_discovery.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise InvalidSetting("RTCC_VIDEO_ONVIF_DISCOVERY", f"{self.onvif_discovery!r} is not host:port")
        return host, int(port)

    def publisher(self) -> PublisherSettings:
        """What publishers are held to."""
        return PublisherSettings(
            unit_limit_bytes=self.unit_limit_bytes, highest_kbps=self.publisher_kbps, consent_timeout_s=self.consent_timeout_s
        )

    def start(self) -> Literal["at_once", "on_demand"]:
        """When cameras connect. Raises `InvalidSetting`."""
        if self.source_start == "at_once":
            return "at_once"
        if self.source_start == "on_demand":
            return "on_demand"
        raise InvalidSetting("RTCC_VIDEO_SOURCE_START", f"{self.source_start!r} is neither at_once nor on_demand")


def _is_host(text: str) -> bool:
    """An IP address of either kind or a host's name (RFC 1123), and nothing that only looks filled in: a variable that nobody replaced."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _HOST_NAME.fullmatch(text) is not None
    return True
