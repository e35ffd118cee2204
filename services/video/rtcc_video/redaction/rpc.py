"""rtcc.video.v1.RedactionService: messages to domain and back."""

from datetime import UTC, datetime
from typing import Any, Final

from rtcc.video.v1 import redaction_pb2 as pb
from rtcc.video.v1 import redaction_pb2_grpc
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.scope import current_scope
from rtcc_video.recording.domain import microseconds
from rtcc_video.recording.evidence_rpc import export_message
from rtcc_video.recording.exports import Exports
from rtcc_video.recording.rpc import moment_of
from rtcc_video.redaction.domain import MOST_BOXES, MOST_REGIONS, Box, Mode, Redaction, Region, Style

_MODES: Final = {pb.REDACTION_MODE_INSIDE: Mode.INSIDE, pb.REDACTION_MODE_OUTSIDE: Mode.OUTSIDE}
_STYLES: Final = {pb.REDACTION_STYLE_MOSAIC: Style.MOSAIC, pb.REDACTION_STYLE_COVER: Style.COVER}
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class RedactionServicer(redaction_pb2_grpc.RedactionServiceServicer):
    """The gate has checked rights before; it audits after."""

    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    async def CreateRedaction(self, request: pb.CreateRedactionRequest, context: Any) -> pb.CreateRedactionResponse:
        if request.mode not in _MODES:
            raise InvalidInput.one("mode", "is needed: inside or outside")
        if request.style not in _STYLES:
            raise InvalidInput.one("style", "is needed: mosaic or cover")
        if len(request.regions) > MOST_REGIONS or any(len(region.boxes) > MOST_BOXES for region in request.regions):
            raise InvalidInput.one("regions", f"are at most {MOST_REGIONS}, with at most {MOST_BOXES} boxes each")
        regions = tuple(_region(f"regions[{number}].", region) for number, region in enumerate(request.regions))
        redaction = Redaction(_MODES[request.mode], _STYLES[request.style], regions)
        made = await self._exports.redact(current_scope(), request.export_id, redaction, request.reason)
        return pb.CreateRedactionResponse(export=export_message(made))


def _region(prefix: str, region: pb.RedactionRegion) -> Region:
    boxes = tuple(_box(f"{prefix}boxes[{number}].", box) for number, box in enumerate(region.boxes))
    return Region(_moment_us(region, "starts_at", prefix), _moment_us(region, "ends_at", prefix), boxes)


def _box(prefix: str, box: pb.RedactionBox) -> Box:
    return Box(_moment_us(box, "at", prefix), box.left, box.top, box.width, box.height)


def _moment_us(message: Any, field: str, prefix: str) -> int:
    at = moment_of(message, field, prefix)
    if at is None or at < _BEGINNING:
        raise InvalidInput.one(f"{prefix}{field}", "is needed, as a time")
    return microseconds(at)
