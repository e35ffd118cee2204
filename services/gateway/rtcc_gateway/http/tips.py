"""/tips/{agency_id}: the public's way in. Nobody signs in; bounds, a form key and a trap keep the rest out."""

import hashlib
import hmac
import ipaddress
import secrets
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import grpc
from aiohttp import web
from prometheus_client import Counter

from rtcc.incidents.v1 import incidents_pb2, incidents_pb2_grpc
from rtcc_chassis.errors import Exhausted, InvalidInput, NotFound, RtccError, Unavailable, from_rpc
from rtcc_gateway.domain import CrossSiteRequest
from rtcc_gateway.http.door import DOOR, Door, read_body
from rtcc_gateway.http.forms import Form, parse_form
from rtcc_gateway.http.problems import TooFast, TooLarge
from rtcc_gateway.http.tip_page import CATEGORIES, POLICY, TRAP, busy_page, closed_page, form_page, thanks_page

BODY_BYTES = 7 * 1024 * 1024
FORM_LIFETIME_S = 12 * 3600
_TRAPPED = Counter("rtcc_gateway_tips_trapped", "Tip forms that a robot filled in: answered, not kept.")
_KEPT_FIELDS = ("category", "text", "address", "when", "contact")


class WrongForm(RtccError):
    """The key of a form is missing, forged, too old, or younger than a person types."""


class TipDesk:
    """One per gateway."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._lines = door.ctx.directory.mirror("tip_line", incidents_pb2.TipLine)

    def open_line(self, agency_id: str) -> incidents_pb2.TipLine | None:
        """The agency's tip line, if there is one that is open."""
        line, agency = self._lines.get(agency_id), self._door.people.agencies.get(agency_id)
        return line if line is not None and line.open and agency is not None and agency.enabled else None

    def agency_name(self, agency_id: str) -> str:
        agency = self._door.people.agencies.get(agency_id)
        return agency.name if agency is not None else agency_id

    def zone(self, agency_id: str) -> tzinfo:
        agency = self._door.people.agencies.get(agency_id)
        try:
            return ZoneInfo(agency.time_zone) if agency is not None and agency.time_zone else UTC
        except (ZoneInfoNotFoundError, ValueError):
            return UTC

    def new_key(self, agency_id: str) -> str:
        """A form's own key: the time, a number used once, and our seal on both. It makes a form sent twice one tip."""
        head = f"{int(self._door.ctx.clock().timestamp())}.{secrets.token_hex(12)}"
        return f"{head}.{self._seal('form', agency_id, head)}"

    def check_key(self, agency_id: str, key: str) -> None:
        """Raises WrongForm."""
        head, _, seal = key.rpartition(".")
        if not head or not hmac.compare_digest(self._seal("form", agency_id, head).encode(), seal.encode()):
            raise WrongForm("The form could not be recognised: send it once more.")
        age_s = self._door.ctx.clock().timestamp() - int(head.partition(".")[0])
        if age_s > FORM_LIFETIME_S:
            raise WrongForm("The form is from yesterday: send it once more.")
        if age_s < self._door.settings.tip_form_least_s:
            raise WrongForm("That was very quick: read it over and send it once more.")

    def sender_hash(self, agency_id: str, address: str) -> str:
        """Tells senders apart for a day and for one agency, and can't be turned back without the key (IPv6: the subscriber's /64)."""
        day = self._door.ctx.clock().astimezone(UTC).date().isoformat()
        return self._seal("sender", day, agency_id, _subscriber(address))

    def take(self, agency_id: str, sender: str) -> None:
        """Raises TooFast: above the rate of a sender or of the whole agency's form."""
        limits, now = self._door.limits, self._door.ctx.clock().timestamp()
        for limit, key in ((limits.tip_sender, sender), (limits.tip_agency, agency_id)):
            if (wait_s := limit.take(key, now)) > 0:
                raise TooFast(wait_s)

    async def submit(self, request: incidents_pb2.SubmitTipRequest) -> str:
        """The reference code, when the tip is durable."""
        stub: Any = self._door.ctx.channels.stub("incidents", incidents_pb2_grpc.IncidentsServiceStub)
        timeout = self._door.settings.call_timeout_s
        try:
            answer = await stub.SubmitTip(request, metadata=self._door.ctx.tokens.metadata(), timeout=timeout)
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        return str(answer.reference_code)

    def _seal(self, *parts: str) -> str:
        return hmac.new(self._door.tip_key, "\x1f".join(parts).encode(), hashlib.sha256).hexdigest()


TIPS = web.AppKey("tips", TipDesk)


def routes() -> list[web.RouteDef]:
    return [web.get("/tips/{agency_id}", show_form, allow_head=False), web.post("/tips/{agency_id}", receive_form)]


async def show_form(request: web.Request) -> web.StreamResponse:
    """GET: an empty form."""
    door, desk, agency_id = request.app[DOOR], request.app[TIPS], request.match_info["agency_id"]
    door.take_address(request)
    line = desk.open_line(agency_id)
    if line is None:
        return _html(closed_page(), 404)
    return _html(form_page(desk.agency_name(agency_id), line.notice, line.emergency_line, desk.new_key(agency_id)))


async def receive_form(request: web.Request) -> web.StreamResponse:
    """POST: the tip, or the form again with what is wrong with it."""
    door, desk, agency_id = request.app[DOOR], request.app[TIPS], request.match_info["agency_id"]
    door.take_address(request)
    _require_own_page(door, request)
    line = desk.open_line(agency_id)
    if line is None:
        return _html(closed_page(), 404)
    name, sender = desk.agency_name(agency_id), desk.sender_hash(agency_id, door.address(request))
    form = Form()
    try:
        desk.take(agency_id, sender)
        form = parse_form(request.headers.get("Content-Type", ""), await read_body(request, BODY_BYTES))
        desk.check_key(agency_id, form.text("form"))
        if form.text(TRAP):
            _TRAPPED.inc()
            return _html(thanks_page(name, "-".join((secrets.token_hex(2).upper(), secrets.token_hex(2).upper()))))
        code = await desk.submit(_tip_of(form, agency_id, sender, desk.zone(agency_id)))
    except NotFound:
        return _html(closed_page(), 404)
    except TooLarge:
        wrong = {"photo": "is too large: at most 6 MB are taken"}
        return _html(form_page(name, line.notice, line.emergency_line, desk.new_key(agency_id), wrong=wrong), 413)
    except (Exhausted, Unavailable) as error:
        return _html(busy_page(error.message), 429 if isinstance(error, Exhausted) else 503)
    except (InvalidInput, WrongForm) as error:
        wrong = {v.field: v.reason for v in error.violations} if isinstance(error, InvalidInput) else {"": error.message}
        given = {field: form.text(field)[:4_000] for field in _KEPT_FIELDS}
        return _html(form_page(name, line.notice, line.emergency_line, desk.new_key(agency_id), given, wrong), 400)
    return _html(thanks_page(name, code))


def _require_own_page(door: Door, request: web.Request) -> None:
    """A page of another site must not send tips through its visitors' browsers. Tools without a browser name no origin."""
    origin = request.headers.get("Origin")
    if (origin is not None and not door.is_own_origin(origin)) or request.headers.get("Sec-Fetch-Site", "none") not in (
        "same-origin",
        "none",
    ):
        raise CrossSiteRequest


def _tip_of(form: Form, agency_id: str, sender: str, zone: tzinfo) -> incidents_pb2.SubmitTipRequest:
    category = form.text("category")
    if category not in CATEGORIES:
        raise InvalidInput.one("category", "is none of the list")
    tip = incidents_pb2.SubmitTipRequest(
        agency_id=agency_id, form_key=form.text("form"), category=category, text=form.text("text"), address=form.text("address"),
        contact=form.text("contact"), photo=form.files.get("photo", b""), sender_hash=sender,
    )  # fmt: skip
    if form.text("lat") or form.text("lon"):
        try:
            tip.coordinate.latitude_deg, tip.coordinate.longitude_deg = float(form.text("lat")), float(form.text("lon"))
        except ValueError as error:
            raise InvalidInput.one("lat", "and lon must be degrees") from error
    if when := form.text("when"):
        try:
            tip.occurred_at.FromDatetime(datetime.fromisoformat(when[:40]).replace(tzinfo=zone).astimezone(UTC))
        except (ValueError, OverflowError) as error:
            raise InvalidInput.one("when", "is no date and time") from error
    return tip


def _subscriber(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


def _html(text: str, status: int = 200) -> web.Response:
    # with "no-referrer" a browser names no origin when it sends the form, and we could not tell our own page from another
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=headers)
