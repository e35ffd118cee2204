"""The seam between what sends pictures and the camera that forwards them."""

from dataclasses import dataclass
from typing import Protocol

from rtcc_video.engine.h264 import AccessUnit


class SourceFailed(Exception):
    """A source can't give pictures. `reason` says what is wrong and what to do, with neither account nor address: partners see it too.

    `lasting` says that trying again soon is pointless: something must be changed at the camera or in its registration. `retry_s`: the
    pause before the first new try, where the usual one would be too long; None: the usual. `cut_off`: another relay can't be reached.
    """

    def __init__(self, reason: str, lasting: bool = False, *, retry_s: float | None = None, cut_off: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting
        self.retry_s = retry_s
        self.cut_off = cut_off


class NeedsConversion(SourceFailed):
    """The stream is there, but browsers can't show it as it is; `codec` names what it is."""

    def __init__(self, codec: str, reason: str) -> None:
        super().__init__(reason, lasting=True)
        self.codec = codec


@dataclass(slots=True)
class Conversion:
    """What a stream's own process reads and whether it converts it, at how many processor cores."""

    codec: str = ""
    converts: bool = False
    cores: float = 0.0

    def clear(self) -> None:
        """The process has ended."""
        self.codec, self.converts, self.cores = "", False, 0.0


class Sink(Protocol):
    """What takes the pictures. Both calls are on the event loop and may raise `SourceFailed`."""

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        """Parameter sets that stand beside the stream, at its (re)start: the source's clock begins anew."""
        ...

    def on_unit(self, unit: AccessUnit) -> None:
        """The next picture."""
        ...


class Source(Protocol):
    """Something that plays until it fails or is cancelled."""

    async def run(self, sink: Sink) -> None:
        """Feeds the sink; returns only when the source ended by itself. Raises `SourceFailed`."""
        ...
