"""A WHEP player made of GStreamer's webrtcbin: `python3 gstreamer_viewer.py URL FRAMES SECONDS`, run by the machine's Python with GObject
bindings.

Exit code 0 when FRAMES pictures and so many SECONDS of sound that isn't silence were decoded; the last line says what was seen and heard.
"""

import sys
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402 # the versions must be named first

LIMIT_S = 40
H264 = (
    "application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000,"
    "packetization-mode=(string)1,profile-level-id=(string)42e01f"
)
OPUS = "application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,encoding-params=(string)2"
SILENCE_DB = -40


class Player:
    def __init__(self, url: str, wanted: int, wanted_s: float) -> None:
        self.url, self.wanted, self.decoded = url, wanted, 0
        self.wanted_s, self.heard_s = wanted_s, 0.0
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.Pipeline.new("player")
        self.peer = Gst.ElementFactory.make("webrtcbin", "peer")
        self.peer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.pipeline.add(self.peer)
        self.peer.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, Gst.Caps.from_string(H264))
        if wanted_s:
            self.peer.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, Gst.Caps.from_string(OPUS))
        self.peer.connect("on-negotiation-needed", self.negotiate)
        self.peer.connect("pad-added", self.on_pad)

    def play(self) -> int:
        GLib.timeout_add_seconds(LIMIT_S, self.loop.quit)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::element", self.on_level)
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        self.pipeline.set_state(Gst.State.NULL)
        print(f"{self.decoded} pictures and {self.heard_s:.1f} s of sound decoded")
        return 0 if self.has_all else 1

    @property
    def has_all(self) -> bool:
        return self.decoded >= self.wanted and self.heard_s >= self.wanted_s

    def negotiate(self, peer: Gst.Element) -> None:
        peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self.on_offer))

    def on_offer(self, promise: Gst.Promise) -> None:
        # The offer lives in the reply, and the reply in the promise.
        self.kept = promise, promise.get_reply()
        offer = self.kept[1].get_value("offer")
        self.peer.emit("set-local-description", offer, Gst.Promise.new())
        request = urllib.request.Request(self.url, offer.sdp.as_text().encode(), {"Content-Type": "application/sdp"})
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read().decode()
        _, message = GstSdp.SDPMessage.new_from_text(text)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.peer.emit("set-remote-description", answer, Gst.Promise.new())

    def on_pad(self, _: Gst.Element, pad: Gst.Pad) -> None:
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        if pad.get_current_caps().get_structure(0).get_string("media") == "audio":
            chain = Gst.parse_bin_from_description("rtpopusdepay ! opusdec ! level interval=100000000 ! fakesink sync=false", True)
        else:
            chain = Gst.parse_bin_from_description(
                "rtph264depay ! h264parse ! avdec_h264 ! fakesink name=sink signal-handoffs=true sync=false", True
            )
            chain.get_by_name("sink").connect("handoff", self.on_picture)
        self.pipeline.add(chain)
        chain.sync_state_with_parent()
        pad.link(chain.get_static_pad("sink"))

    def on_picture(self, *_: object) -> None:
        self.decoded += 1
        if self.has_all:
            self.loop.quit()

    def on_level(self, _: Gst.Bus, message: Gst.Message) -> None:
        told = message.get_structure()
        if told.get_name() == "level" and told.get_value("peak")[0] > SILENCE_DB:
            self.heard_s += told.get_value("duration") / Gst.SECOND
            if self.has_all:
                self.loop.quit()


if __name__ == "__main__":
    Gst.init(None)
    raise SystemExit(Player(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])).play())
