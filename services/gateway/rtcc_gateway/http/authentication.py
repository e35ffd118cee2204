"""/auth/*: JSON in, cookies out. The exact bodies stand in docs/integrators/http.md."""

from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote

from aiohttp import web

from rtcc_chassis.access import AuditDraft, Outcome, Resource
from rtcc_chassis.errors import NotFound, RtccError, Unauthenticated
from rtcc_chassis.rpc import all_rules
from rtcc_chassis.scope import Scope
from rtcc_gateway.app import NextStep, SignedIn
from rtcc_gateway.domain import PASSWORD_MAX_LENGTH, PASSWORD_MIN_LENGTH, Session, SignInFailed, safe_next
from rtcc_gateway.http.door import DOOR, Door
from rtcc_gateway.http.json_bodies import Fields, json_body, json_response, time_text
from rtcc_gateway.http.problems import kind_of

_TRIP_S = 600


def routes() -> list[web.RouteDef]:
    """All ways in and out."""
    return [
        web.get("/auth/banner", banner),
        web.get("/auth/session", session),
        web.post("/auth/sign-in", sign_in),
        web.post("/auth/totp", totp),
        web.post("/auth/passkey/start", passkey_start),
        web.post("/auth/passkey/finish", passkey_finish),
        web.post("/auth/enrol/start", enrol_start),
        web.post("/auth/enrol/totp", enrol_totp),
        web.post("/auth/enrol/passkey/start", enrol_passkey_start),
        web.post("/auth/enrol/passkey/finish", enrol_passkey_finish),
        web.get("/auth/oidc/start", oidc_start),
        web.get("/auth/oidc/callback", oidc_callback),
        web.get("/auth/demo/{token}", demo),
        web.post("/auth/activity", activity),
        web.post("/auth/lock", lock),
        web.post("/auth/reauthenticate", reauthenticate),
        web.post("/auth/password", password),
        web.post("/auth/sign-out", sign_out),
    ]


# -- public ------------------------------------------------------------------------------------------------------------


async def banner(request: web.Request) -> web.StreamResponse:
    """The use banner and the ways in."""
    door = request.app[DOOR]
    door.take_address(request)
    return json_response(
        {
            "banner": _banner(door),
            "installation": door.settings.installation_name,
            "methods": {
                "password": True,
                "passkey": door.site(request).passkeys_possible,
                "oidc": {"name": door.settings.oidc_name} if door.provider is not None else None,
            },
            "demo": door.sign_in.demo,
        }
    )


async def session(request: web.Request) -> web.StreamResponse:
    """Who am I."""
    door = request.app[DOOR]
    found = await door.session_of(request)
    if found is None:
        door.take_address(request)
        return json_response({"signed_in": False})
    try:
        return json_response(await _who(door, found))
    except Unauthenticated:
        return json_response({"signed_in": False})


async def sign_in(request: web.Request) -> web.StreamResponse:
    """The password; a second factor must follow."""
    door, fields = await _public_change(request)
    step = await door.sign_in.with_password(
        fields.text("login"), fields.text("password"), fields.text("banner_version", ""), door.visitor(request)
    )
    return json_response(_step(step))


async def totp(request: web.Request) -> web.StreamResponse:
    """The one-time code."""
    door, fields = await _public_change(request)
    signed_in = await door.sign_in.with_code(fields.text("challenge_id"), fields.text("code"), door.visitor(request))
    return await _welcome(door, request, signed_in)


async def passkey_start(request: web.Request) -> web.StreamResponse:
    """Options for the browser: to sign in, as a second factor, or again in a session."""
    door, fields = await _public_change(request)
    site = door.site(request)
    if fields.text("purpose", "sign_in") == "reauthenticate":
        found = await _session(door, request)
        challenge_id, options = await door.sign_in.passkey_options(site, found.person_id, "reauthenticate", "")
    else:
        waiting = fields.text("challenge_id", "")
        person_id = await door.sign_in.person_of_challenge(waiting) if waiting else ""
        challenge_id, options = await door.sign_in.passkey_options(site, person_id, "sign_in", fields.text("banner_version", ""))
    return json_response({"challenge_id": challenge_id, "public_key": options})


async def passkey_finish(request: web.Request) -> web.StreamResponse:
    """The authenticator's answer."""
    door, fields = await _public_change(request)
    site, visitor = door.site(request), door.visitor(request)
    challenge_id, credential = fields.text("challenge_id"), fields.object("credential")
    if await door.sign_in.reauthenticates(challenge_id):
        found = await _session(door, request)
        renewed = await door.sign_in.again_with_passkey(site, found, challenge_id, credential, visitor)
        return json_response(await _who(door, renewed))
    return await _welcome(door, request, await door.sign_in.with_passkey(site, challenge_id, credential, visitor))


async def enrol_start(request: web.Request) -> web.StreamResponse:
    """What the page of an enrolment link shows."""
    door, fields = await _public_change(request)
    found = await door.enrolments.look(fields.text("token"))
    person = found.person
    return json_response(
        {
            "person": {
                "person_id": person.person_id,
                "agency_id": person.agency_id,
                "agency_name": door.people.agency_name(person.agency_id),
                "login": person.login,
                "display_name": person.display_name,
            },
            "expires_at": time_text(found.expires_at),
            "totp": {"secret": found.totp_secret, "uri": found.totp_uri, "qr_svg": found.qr_svg},
            "passkey": door.site(request).passkeys_possible,
            "password_rules": {"min_length": PASSWORD_MIN_LENGTH, "max_length": PASSWORD_MAX_LENGTH},
            "banner": _banner(door),
        }
    )


async def enrol_totp(request: web.Request) -> web.StreamResponse:
    """Password and code end the link and sign in."""
    door, fields = await _public_change(request)
    signed_in = await door.enrolments.with_totp(
        fields.text("token"), fields.text("password"), fields.text("code"), fields.text("banner_version", ""), door.visitor(request)
    )
    return await _welcome(door, request, signed_in)


async def enrol_passkey_start(request: web.Request) -> web.StreamResponse:
    """Creation options."""
    door, fields = await _public_change(request)
    challenge_id, options = await door.enrolments.passkey_options(door.site(request), fields.text("token"))
    return json_response({"challenge_id": challenge_id, "public_key": options})


async def enrol_passkey_finish(request: web.Request) -> web.StreamResponse:
    """The new passkey ends the link and signs in."""
    door, fields = await _public_change(request)
    signed_in = await door.enrolments.with_passkey(
        door.site(request), fields.text("token"), fields.text("challenge_id"), fields.object("credential"), fields.text("name", ""),
        fields.text("banner_version", ""), door.visitor(request),
    )  # fmt: skip
    return await _welcome(door, request, signed_in)


async def demo(request: web.Request) -> web.StreamResponse:
    """A demo link: its peer must be this machine."""
    door = request.app[DOOR]
    door.take_sign_in(request)
    if not door.sign_in.demo or not _is_loopback_peer(door, request):
        raise NotFound("demo link", "...")
    signed_in, next_path = await door.sign_in.with_demo_link(request.match_info["token"], door.visitor(request))
    response = web.Response(status=303, headers={"Location": next_path})
    _set_cookie(door, response, signed_in.cookie)
    return response


# -- single sign-on ------------------------------------------------------------------------------------------------------


async def oidc_start(request: web.Request) -> web.StreamResponse:
    """Off to the provider, with what must come back bound to this browser by a cookie."""
    door = request.app[DOOR]
    door.take_sign_in(request)
    if door.provider is None:
        raise NotFound("single sign-on provider", "")
    try:
        door.sign_in.require_banner(request.query.get("banner_version", ""))
        departure = await door.provider.depart(_callback_address(door, request))
    except RtccError as error:
        return _back_to_sign_in(error)
    trip = {
        "state": departure.state,
        "nonce": departure.nonce,
        "verifier": departure.verifier,
        "next": safe_next(request.query.get("next", "/")),
    }
    trip_id = await door.sign_in.remember_trip(trip)
    response = web.Response(status=303, headers={"Location": departure.url})
    # Lax: the provider sends the browser back from another site
    response.set_cookie(_trip_cookie(door), trip_id, max_age=_TRIP_S, httponly=True, secure=door.secure, samesite="Lax", path="/")
    return response


async def oidc_callback(request: web.Request) -> web.StreamResponse:
    """Back from the provider."""
    door = request.app[DOOR]
    door.take_sign_in(request)
    try:
        response = await _arrive(door, request)
    except RtccError as error:
        response = _back_to_sign_in(error)
    response.del_cookie(_trip_cookie(door), path="/", secure=door.secure, httponly=True, samesite="Lax")
    return response


async def _arrive(door: Door, request: web.Request) -> web.Response:
    if door.provider is None:
        raise SignInFailed
    trip = await door.sign_in.take_trip(request.cookies.get(_trip_cookie(door), ""), request.query.get("state", ""))
    if "code" not in request.query:
        raise SignInFailed
    identity = await door.provider.arrive(request.query["code"], _callback_address(door, request), trip["nonce"], trip["verifier"])
    outcome = await door.sign_in.with_identity(identity, door.visitor(request))
    if isinstance(outcome, NextStep):
        where = f"/sign-in?challenge_id={quote(outcome.challenge_id)}&methods={','.join(outcome.methods)}&next={quote(trip['next'])}"
        return web.Response(status=303, headers={"Location": where})
    response = web.Response(status=303, headers={"Location": trip["next"]})
    _set_cookie(door, response, outcome.cookie)
    return response


def _callback_address(door: Door, request: web.Request) -> str:
    return f"{door.site(request).origin}/auth/oidc/callback"


def _trip_cookie(door: Door) -> str:
    return "__Host-rtcc-trip" if door.secure else "rtcc-trip"


def _back_to_sign_in(error: RtccError) -> web.Response:
    return web.Response(status=303, headers={"Location": f"/sign-in?problem={kind_of(error)}"})


# -- in a session ----------------------------------------------------------------------------------------------------------


async def activity(request: web.Request) -> web.StreamResponse:
    """The person is there: moves the idle lock (R3)."""
    await request.app[DOOR].caller(request, changes=True)
    return web.Response(status=204)


async def lock(request: web.Request) -> web.StreamResponse:
    """Hide everything until the person proves to be there."""
    door = request.app[DOOR]
    door.require_same_origin(request)
    found = await _session(door, request)
    await _record(door, found, "session.lock")
    await door.sessions.lock(found)
    return web.Response(status=204)


async def reauthenticate(request: web.Request) -> web.StreamResponse:
    """Unlock, or make fresh."""
    door, fields = await _public_change(request)
    found = await _session(door, request)
    renewed = await door.sign_in.again_with_password(found, fields.text("password", ""), fields.text("code", ""), door.visitor(request))
    return json_response(await _who(door, renewed))


async def password(request: web.Request) -> web.StreamResponse:
    """A new password."""
    door, fields = await _public_change(request)
    caller = await door.caller(request, changes=True)
    await door.sign_in.change_password(
        caller.session, fields.text("current_password"), fields.text("code"), fields.text("password"), door.visitor(request)
    )
    return web.Response(status=204)


async def sign_out(request: web.Request) -> web.StreamResponse:
    """For ever, here and on the live socket."""
    door = request.app[DOOR]
    door.require_same_origin(request)
    found = await door.session_of(request)
    if found is not None:
        await _record(door, found, "session.sign_out")
        await door.sessions.end(found.session_id, "signed_out")
    response = web.Response(status=204)
    response.del_cookie(door.cookie_name, path="/", secure=door.secure, httponly=True, samesite="Strict")
    return response


# -- parts -------------------------------------------------------------------------------------------------------------------


async def _public_change(request: web.Request) -> tuple[Door, Fields]:
    door = request.app[DOOR]
    door.require_same_origin(request)
    door.take_sign_in(request)
    return door, await json_body(request)


async def _session(door: Door, request: web.Request) -> Session:
    found = await door.session_of(request)
    if found is None:
        raise Unauthenticated("Sign in first.")
    return found


async def _welcome(door: Door, request: web.Request, signed_in: SignedIn) -> web.Response:
    # whoever was signed in in this browser is not any more
    if (earlier := await door.session_of(request)) is not None:
        await door.sessions.end(earlier.session_id, "signed_out")
    response = json_response(await _who(door, signed_in.session))
    _set_cookie(door, response, signed_in.cookie)
    return response


def _set_cookie(door: Door, response: web.Response, secret: str) -> None:
    # no Max-Age: the cookie goes with the browser, the session ends on the server
    response.set_cookie(door.cookie_name, secret, httponly=True, secure=door.secure, samesite="Strict", path="/")


async def _who(door: Door, found: Session) -> dict[str, Any]:
    person = door.sessions.person_of(found)
    now, policy = door.ctx.clock(), door.sessions.policy
    locked = found.standing(now, policy) == "locked"
    scope = door.sessions.scope(found, person)
    return {
        "signed_in": True,
        "locked": locked,
        "person": {
            "person_id": person.person_id,
            "agency_id": person.agency_id,
            "agency_name": door.people.agency_name(person.agency_id),
            "login": person.login,
            "display_name": person.display_name,
            "roles": sorted(person.roles),
            "unit_id": person.unit_id,
        },
        "rights": [] if locked else rights(door, scope),
        "session_id": found.session_id,
        "signed_in_at": time_text(found.started_at),
        "fresh_until": time_text(found.fresh_until(policy)),
        "expires_at": time_text(found.expires_at(policy)),
        "idle_lock_s": policy.idle_lock_s,
        "lock_exempt": found.lock_exempt,
        "reauthenticate": list(await door.sign_in.reauthentication_methods(found)),
        "server_time": time_text(now),
        "demo": found.method == "demo",
    }


def rights(door: Door, scope: Scope) -> list[str]:
    """The actions that the caller's roles allow at all; purpose is taken as given, for the dialog asks for it."""
    asking = replace(scope, purpose="rights", case_number="rights")
    own = Resource.collection(scope.agency_id)
    actions = {rule.action for rule in all_rules().values() if rule.http_path}
    return sorted(action for action in actions if door.ctx.access.decide(asking, action, own).allowed)


async def _record(door: Door, found: Session, action: str) -> None:
    scope = door.sessions.scope(found, door.sessions.person_of(found))
    await door.ctx.access.record(
        AuditDraft(action, f"gateway {action}", Outcome.ALLOWED, scope, object_ids=(f"session:{found.session_id}",))
    )


def _banner(door: Door) -> dict[str, str]:
    return {"version": door.sign_in.banner_version, "title": door.settings.banner_title, "text": door.settings.banner_text}


def _step(step: NextStep) -> dict[str, Any]:
    return asdict(step) | {"methods": list(step.methods)}


def _is_loopback_peer(door: Door, request: web.Request) -> bool:
    return door.settings.only_this_machine and door.address(request) in ("127.0.0.1", "::1")
