"""Nothing can be forgotten: each call says who may make it, and every HTTP route comes from a call or from the list of public ones."""

from unittest.mock import MagicMock

from aiohttp import web

from rtcc.contract.v1 import contract_pb2
from rtcc_chassis.rpc import all_rules
from rtcc_gateway.http.rest import canonical_paths
from rtcc_gateway.http.server import application

# R1: what answers without a session. A new route must come from a contract, or be added here and defended.
PUBLIC_ROUTES = {
    # what a WHEP player may send; nothing of any camera
    "OPTIONS /v1/whep/{camera_id}",
    # signing in
    "GET /auth/banner",
    "GET /auth/session",
    "POST /auth/sign-in",
    "POST /auth/totp",
    "POST /auth/passkey/start",
    "POST /auth/passkey/finish",
    "POST /auth/enrol/start",
    "POST /auth/enrol/totp",
    "POST /auth/enrol/passkey/start",
    "POST /auth/enrol/passkey/finish",
    "GET /auth/oidc/start",
    "GET /auth/oidc/callback",
    # one-time sign-in of a demo, loopback only
    "GET /auth/demo/{token}",
    # devices prove themselves by signature or device key
    "POST /v1/hooks/{source_id}",
    "POST /v1/airspace/{source_id}",
    "GET /v1/osmand",
    "POST /v1/osmand",
    # the public tells: bounded by sender and agency, moderated before anybody acts on it
    "GET /tips/{agency_id}",
    "POST /tips/{agency_id}",
    # the console's files, which hold no data, and the probe
    "GET /healthz",
    "GET /{path}",
}
# need a session, but are no call of a contract
SESSION_ROUTES = {
    "POST /auth/activity",
    "POST /auth/lock",
    "POST /auth/reauthenticate",
    "POST /auth/password",
    "POST /auth/sign-out",
    "GET /v1/live",
    "POST /v1/whep/{camera_id}",
    "PATCH /v1/whep/{camera_id}/{viewer_id}",
    "DELETE /v1/whep/{camera_id}/{viewer_id}",
    # or the camera's own publishing key
    "POST /v1/whip/{camera_id}",
    "PATCH /v1/whip/{camera_id}/{publisher_id}",
    "DELETE /v1/whip/{camera_id}/{publisher_id}",
}


def test_every_call_says_action_audience_and_audit_class() -> None:
    for rule in all_rules().values():
        assert rule.action, rule.path
        assert rule.audience != contract_pb2.AUDIENCE_UNSPECIFIED, rule.path
        assert rule.audit != contract_pb2.AUDIT_CLASS_UNSPECIFIED, rule.path


def test_what_services_and_devices_call_has_no_http_route() -> None:
    for rule in all_rules().values():
        if rule.audience != contract_pb2.AUDIENCE_PERSON:
            assert not rule.http_path, rule.path


def test_grants_and_people_need_a_fresh_sign_in() -> None:
    # R4
    unguarded = [
        rule.method
        for rule in all_rules().values()
        if rule.audit == contract_pb2.AUDIT_CLASS_GRANT and rule.audience == contract_pb2.AUDIENCE_PERSON and not rule.privileged
    ]
    # taking rights away must never wait for a sign-in
    assert sorted(unguarded) == ["NarrowAgreement", "RevokeAgreement"]


def test_an_object_field_is_a_field_of_the_request() -> None:
    for rule in all_rules().values():
        descriptor = rule.request_type.DESCRIPTOR
        for part in filter(None, rule.object_field.split(".")):
            assert part in descriptor.fields_by_name, f"{rule.path}: {rule.object_field}"
            descriptor = descriptor.fields_by_name[part].message_type


def test_every_http_route_is_generated_or_known() -> None:
    app: web.Application = application(MagicMock(), MagicMock(), MagicMock())
    served = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    generated = set(canonical_paths())
    assert served - generated == PUBLIC_ROUTES | SESSION_ROUTES
    assert generated <= served
    assert len(generated) >= sum(bool(rule.http_path) for rule in all_rules().values())
