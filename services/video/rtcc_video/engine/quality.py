"""What a viewer's link carries, judged from what its receiver reports. Pure: time is an argument."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

# A receiver's estimate (REMB) follows what it was sent lately, down to 0.85 of a quiet second at a mere hiccup: only one far below the
# rate says that the link is too thin.
_ESTIMATE_SHARE: Final = 0.5
_ESTIMATE_VALID_S: Final = 5.0
_BAD_LOSS: Final = 0.10
_GOOD_LOSS: Final = 0.04
_BAD_FOR_S: Final = 2.5
_FIRST_REST_S: Final = 8.0
_LONGEST_REST_S: Final = 120.0
_RELAPSE_S: Final = 15.0
# A receiver that was sent little raises its estimate by about 8 % a second (WebRTC's AIMD): that long it says nothing about more.
_GROWN_S: Final = 20.0


class Quality(IntEnum):
    """How much of the camera a viewer gets, from most to least."""

    FULL = 0
    SUBSTREAM = 1
    KEY_PICTURES = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """The quality to send now, and why it isn't full."""

    quality: Quality
    reason: str = ""


class Link:
    """Steps down when loss or the receiver's estimate have been bad for 2.5 s, up again after a rest that doubles with each relapse.

    `has_substream` says whether there is something between full and key pictures.
    """

    def __init__(self, now_s: float) -> None:
        self._quality = Quality.FULL
        self._reason = ""
        self._bad_since_s: float | None = None
        self._changed_s = now_s
        self._raised_s: float | None = None
        self._rest_s = _FIRST_REST_S
        self._estimate_bps: float | None = None
        self._estimated_s = now_s
        self._loss = 0.0
        self._estimate_counts_s = now_s
        self.round_trip_s: float | None = None

    @property
    def verdict(self) -> Verdict:
        """What was decided last."""
        return Verdict(self._quality, self._reason)

    def on_estimate(self, bits_per_s: float, now_s: float) -> None:
        """The receiver's estimate of what it can take (REMB)."""
        self._estimate_bps, self._estimated_s = bits_per_s, now_s

    def on_growth(self, now_s: float) -> None:
        """More is sent from now on because the viewer shows it larger."""
        self._estimate_counts_s = now_s + _GROWN_S

    def on_loss(self, fraction_lost: float, round_trip_s: float | None) -> None:
        """The share of packets lost since the receiver's last report."""
        self._loss = fraction_lost
        if round_trip_s is not None:
            self.round_trip_s = round_trip_s

    def judge(self, full_bps: float, has_substream: bool, now_s: float) -> Verdict:
        """To be asked about once a second; `full_bps` is the rate of the full stream."""
        reason = self._complaint(full_bps, now_s)
        if reason:
            if self._bad_since_s is None:
                self._bad_since_s = now_s
            if now_s - self._bad_since_s >= _BAD_FOR_S:
                self._lower(reason, has_substream, now_s)
        else:
            self._bad_since_s = None
            if self._quality is not Quality.FULL and self._loss <= _GOOD_LOSS and now_s - self._changed_s >= self._rest_s:
                self._raise(has_substream, now_s)
        return self.verdict

    def _complaint(self, full_bps: float, now_s: float) -> str:
        if self._loss > _BAD_LOSS:
            return f"{self._loss:.0%} of the packets are lost on the way"
        estimate = self._estimate_bps
        # An estimate made while less was sent says nothing about more.
        known = estimate is not None and now_s - self._estimated_s <= _ESTIMATE_VALID_S and self._quality is Quality.FULL
        known = known and now_s >= self._estimate_counts_s
        if known and estimate is not None and estimate < full_bps * _ESTIMATE_SHARE:
            return f"the viewer's connection takes {estimate / 1000:.0f} of {full_bps / 1000:.0f} kbit/s"
        return ""

    def _lower(self, reason: str, has_substream: bool, now_s: float) -> None:
        if self._quality is Quality.KEY_PICTURES:
            return
        if self._raised_s is not None and now_s - self._raised_s < _RELAPSE_S:
            self._rest_s = min(_LONGEST_REST_S, self._rest_s * 2)
        self._quality = Quality.SUBSTREAM if has_substream and self._quality is Quality.FULL else Quality.KEY_PICTURES
        self._reason, self._changed_s, self._bad_since_s, self._loss = reason, now_s, None, 0.0

    def _raise(self, has_substream: bool, now_s: float) -> None:
        to_substream = has_substream and self._quality is Quality.KEY_PICTURES
        self._quality = Quality.SUBSTREAM if to_substream else Quality.FULL
        if self._raised_s is not None and now_s - self._raised_s > 2 * _RELAPSE_S:
            self._rest_s = max(_FIRST_REST_S, self._rest_s / 2)
        self._reason = self._reason if to_substream else ""
        self._changed_s = self._raised_s = now_s
        self._bad_since_s, self._estimate_bps = None, None
