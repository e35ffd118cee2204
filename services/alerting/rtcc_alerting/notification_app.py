"""Who an agency tells of its alerts, by which servers, and what became of it: authorise, act; the gate audits."""

import json
import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting.destinations import Destinations
from rtcc_alerting.notification import MOST_PER_HOUR, TEST, unknown_placeholders
from rtcc_alerting.notification_store import NewDelivery, NotificationStore, Servers
from rtcc_alerting.rule_book import Zones
from rtcc_alerting.rule_table import BY_NAME
from rtcc_alerting.rules_app import require_zones
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, Violation
from rtcc_chassis.identifiers import derived_id, new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.sealing import Seal

_IDENTIFIER = re.compile(r"[A-Za-z0-9_\-]{1,64}\Z")
# a mailbox as people write it; what else RFC 5321 allows no mail server of an agency hands out
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?\Z")
# E.164
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\Z")
_MOST_CONTACTS = 1_000
_SUBJECT_CHARACTERS, _BODY_CHARACTERS = 200, 4_000
_LIST_MOST = 500


class Alerts(Protocol):
    async def get_alert(self, scope: Scope, alert_id: str) -> pb.Alert | None: ...


class ContactRefresh(Protocol):
    """Returns when the next alert is held against the change."""

    async def refresh(self) -> None: ...


class NotificationApp:
    """Contacts, servers, deliveries."""

    def __init__(
        self,
        store: NotificationStore,
        alerts: Alerts,
        book: ContactRefresh,
        zones: Zones,
        destinations: Destinations,
        seal: Seal,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._alerts = alerts
        self._book = book
        self._zones = zones
        self._destinations = destinations
        self._seal = seal
        self._clock = clock
        self._wake = wake

    async def list_contacts(self, scope: Scope) -> list[pb.Contact]:
        """By name."""
        contacts = await self._store.contacts(scope)
        touched(*(f"contact:{contact.contact_id}" for contact in contacts))
        return contacts

    async def set_contact(self, scope: Scope, wanted: pb.Contact, *, new_secret: bool) -> tuple[pb.Contact, str]:
        """(the contact, the signing secret when one was made). Raises NotFound for an id that isn't the agency's."""
        before = await self._store.get_contact(scope, wanted.contact_id) if wanted.contact_id else None
        if wanted.contact_id and (before is None or not _IDENTIFIER.match(wanted.contact_id)):
            raise NotFound("contact", wanted.contact_id[:64])
        contact = self._checked(scope, wanted)
        if before is None and len(await self._store.contacts(scope)) >= _MOST_CONTACTS:
            raise InvalidInput.one("contact", f"an agency has at most {_MOST_CONTACTS} contacts")
        secret = ""
        is_webhook = contact.channel == pb.NOTIFICATION_CHANNEL_WEBHOOK
        if is_webhook and (new_secret or before is None or before.channel != contact.channel):
            secret = secrets.token_urlsafe(32)
        sealed = self._seal.close(secret, f"{scope.agency_id}:{contact.contact_id}") if secret else None
        await self._store.put_contact(scope, contact, sealed)
        touched(f"contact:{contact.contact_id}", old_value=_as_json(before) if before else "", new_value=_as_json(contact))
        await self._book.refresh()
        return contact, secret

    async def remove_contact(self, scope: Scope, contact_id: str) -> None:
        removed = await self._store.remove_contact(scope, contact_id)
        if removed is None:
            raise NotFound("contact", contact_id[:64])
        touched(f"contact:{contact_id}", old_value=_as_json(removed))
        await self._book.refresh()

    async def test_contact(self, scope: Scope, contact_id: str) -> pb.NotificationDelivery:
        """Sent as any other message, beyond the contact's bound."""
        contact = await self._store.get_contact(scope, contact_id)
        if contact is None:
            raise NotFound("contact", contact_id[:64])
        delivery_id = derived_id(scope.agency_id, "test", scope.idempotency_key) if scope.idempotency_key else new_id()
        await self._store.add(scope, [NewDelivery(delivery_id, scope.agency_id, "", contact_id, TEST, 4)], self._clock())
        touched(f"contact:{contact_id}", f"delivery:{delivery_id}")
        self._wake()
        return await self._delivery(scope, delivery_id)

    async def get_servers(self, scope: Scope) -> pb.NotificationSettings:
        """Without secrets."""
        return _shown(await self._store.servers(scope, scope.agency_id))

    async def set_servers(self, scope: Scope, request: pb.SetNotificationSettingsRequest) -> pb.NotificationSettings:
        """Secrets that are left empty stay, unless the server that they are for changes: they are not sent to another."""
        before = await self._store.servers(scope, scope.agency_id)
        wanted = self._checked_servers(request.settings)
        password, token = before.smtp_password, before.sms_token
        if request.clear_smtp_password or wanted.smtp_host != before.settings.smtp_host:
            password = None
        if request.clear_sms_token or wanted.sms_url != before.settings.sms_url:
            token = None
        if request.settings.smtp_password:
            password = self._seal.close(request.settings.smtp_password, f"{scope.agency_id}:smtp")
        if request.settings.sms_token:
            token = self._seal.close(request.settings.sms_token, f"{scope.agency_id}:sms")
        wanted.changed_by_name = scope.display_name
        wanted.changed_at.FromDatetime(self._clock())
        after = Servers(wanted, password, token)
        await self._store.put_servers(scope, after)
        touched("notification_settings:servers", old_value=_as_json(_shown(before)), new_value=_as_json(_shown(after)))
        return _shown(after)

    async def list_deliveries(self, scope: Scope, request: pb.ListDeliveriesRequest) -> list[pb.NotificationDelivery]:
        """Newest first. Raises NotFound for an alert that isn't the agency's."""
        if request.alert_id:
            alert = await self._alerts.get_alert(scope, request.alert_id)
            if alert is None or alert.agency_id != scope.agency_id:
                raise NotFound("alert", request.alert_id[:64])
        limit = min(request.limit or 200, _LIST_MOST)
        found = await self._store.deliveries(scope, alert_id=request.alert_id, failed_only=request.failed_only, limit=limit)
        touched(*(f"delivery:{delivery.delivery_id}" for delivery in found))
        return found

    async def retry(self, scope: Scope, delivery_id: str) -> pb.NotificationDelivery:
        """What was given up is due now, with all its tries. Raises Conflict when it was not given up."""
        await self._delivery(scope, delivery_id)
        if not await self._store.retry(scope, delivery_id, self._clock()):
            raise Conflict("Only a delivery that was given up, to a contact that still exists, is tried again.")
        self._wake()
        return await self._delivery(scope, delivery_id)

    async def forget(self, scope: Scope, days: float) -> None:
        """Deliveries older than that, and removed contacts that none names any more."""
        await self._store.forget(scope, self._clock() - timedelta(days=days))

    async def _delivery(self, scope: Scope, delivery_id: str) -> pb.NotificationDelivery:
        delivery = await self._store.get_delivery(scope, delivery_id)
        if delivery is None:
            raise NotFound("delivery", delivery_id[:64])
        return delivery

    def _checked(self, scope: Scope, wanted: pb.Contact) -> pb.Contact:
        require_zones(self._zones, scope.agency_id, wanted.zone_ids)
        violations = []
        name, address = wanted.name.strip(), wanted.address.strip()
        if not 1 <= len(name) <= 100 or not name.isprintable():
            violations.append(Violation("contact.name", "must have 1 to 100 characters"))
        if wanted.channel == pb.NOTIFICATION_CHANNEL_EMAIL:
            if not _MAIL.match(address):
                violations.append(Violation("contact.address", "must be a mail address"))
        elif wanted.channel == pb.NOTIFICATION_CHANNEL_SMS:
            address = address.replace(" ", "").replace("-", "")
            if not _PHONE.match(address):
                violations.append(Violation("contact.address", "must be a phone number with its country: +358401234567"))
        elif wanted.channel == pb.NOTIFICATION_CHANNEL_WEBHOOK:
            address = self._destinations.checked_url(address, "contact.address")
        else:
            violations.append(Violation("contact.channel", "is missing: EMAIL, SMS or WEBHOOK"))
        if unknown := sorted(set(wanted.alert_kinds) - set(BY_NAME)):
            violations.append(Violation("contact.alert_kinds", f"{', '.join(unknown)[:100]} unknown: use {', '.join(sorted(BY_NAME))}"))
        if wanted.least_severity > 4:
            violations.append(Violation("contact.least_severity", "is 1 (life) to 4 (information); 0: 2"))
        if wanted.maximum_per_hour > MOST_PER_HOUR:
            violations.append(Violation("contact.maximum_per_hour", f"is at most {MOST_PER_HOUR}; 0: 30"))
        for field, most in (("subject_template", _SUBJECT_CHARACTERS), ("body_template", _BODY_CHARACTERS)):
            text = getattr(wanted, field)
            if len(text) > most or "\0" in text:
                violations.append(Violation(f"contact.{field}", f"must be text of at most {most} characters"))
            if names := unknown_placeholders(text):
                violations.append(Violation(f"contact.{field}", f"{{{names[0][:40]}}} is nothing that an alert has"))
        if violations:
            raise InvalidInput(violations)
        contact = pb.Contact()
        contact.CopyFrom(wanted)
        contact.name, contact.address, contact.agency_id = name, address, scope.agency_id
        contact.contact_id = wanted.contact_id or (
            derived_id(scope.agency_id, "contact", scope.idempotency_key) if scope.idempotency_key else new_id()
        )
        kinds = sorted(set(wanted.alert_kinds))
        del contact.alert_kinds[:]
        contact.alert_kinds.extend(kinds)
        return contact

    def _checked_servers(self, wanted: pb.NotificationSettings) -> pb.NotificationSettings:
        violations = []
        if wanted.smtp_host:
            if not _HOST.match(wanted.smtp_host):
                violations.append(Violation("settings.smtp_host", "must be the name or address of a mail server"))
            if not _MAIL.match(wanted.from_address):
                violations.append(Violation("settings.from_address", "must be a mail address"))
        if wanted.smtp_port > 65_535:
            violations.append(Violation("settings.smtp_port", "is 1 to 65535; 0: the usual one"))
        for field in ("smtp_user", "smtp_password", "sms_token", "sms_sender"):
            if len(getattr(wanted, field)) > 500 or not getattr(wanted, field).isprintable():
                violations.append(Violation(f"settings.{field}", "must be text of at most 500 characters"))
        if wanted.smtp_security == pb.SMTP_SECURITY_NONE and not self._destinations.is_private_host(wanted.smtp_host):
            reason = "needs TLS: only a server in a network that the operator allowed, given by its address, may go without"
            violations.append(Violation("settings.smtp_security", reason))
        if violations:
            raise InvalidInput(violations)
        settings = pb.NotificationSettings()
        settings.CopyFrom(wanted)
        settings.smtp_password = settings.sms_token = ""
        settings.smtp_password_set = settings.sms_token_set = False
        if settings.sms_url:
            settings.sms_url = self._destinations.checked_url(settings.sms_url, "settings.sms_url")
        return settings


def _shown(servers: Servers) -> pb.NotificationSettings:
    settings = pb.NotificationSettings()
    settings.CopyFrom(servers.settings)
    settings.smtp_password_set, settings.sms_token_set = servers.smtp_password is not None, servers.sms_token is not None
    return settings


def _as_json(message: Message) -> str:
    return json.dumps(MessageToDict(message, preserving_proto_field_name=True), ensure_ascii=False)
