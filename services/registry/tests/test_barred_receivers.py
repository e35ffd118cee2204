"""R19: barred receivers, as a rule and over the real API."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from rtcc.ledger.v1 import ledger_pb2
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc.registry.v1 import registry_pb2_grpc
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import InvalidInput, NotFound, Refused, from_rpc
from rtcc_chassis.scope import Scope
from rtcc_chassis.sharing import in_force
from rtcc_chassis.streams import AUDIT
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_registry.domain.barring import barred_reason
from rtcc_registry.domain.people import checked_agency
from rtcc_registry.service import serve

OWNER = Scope.platform("standalone")
PLACES = ("", "US", "US-CA", "US-NV", "MX", "MX-BCN")


def _agency(agency_id: str, jurisdiction: str = "", *barred: str) -> pb.Agency:
    return pb.Agency(agency_id=agency_id, name=agency_id.title(), time_zone="UTC", jurisdiction=jurisdiction, barred_receivers=barred)


@pytest.mark.parametrize(
    ("place", "bars", "receiver", "barred"),
    [
        ("US-CA", (), "", False),
        ("US-CA", ("federal",), "US", True),
        ("US-CA", ("federal",), "US-CA", False),
        ("US-CA", ("federal",), "MX", True),
        ("US-CA", ("federal",), "", True),
        ("US-CA", ("out_of_state",), "US-CA", False),
        ("US-CA", ("out_of_state",), "US-NV", True),
        ("US-CA", ("out_of_state",), "US", True),
        ("US-CA", ("US-TX",), "US-NV", False),
        ("US-CA", ("US-TX",), "US-TX", True),
        ("US-CA", ("MX",), "MX-BCN", True),
        ("US-CA", ("US-TX",), "", True),
    ],
)
def test_who_is_barred(place: str, bars: tuple[str, ...], receiver: str, barred: bool) -> None:  # R19
    assert bool(barred_reason(_agency("west", place, *bars), _agency("east", receiver))) is barred


@given(
    place=st.sampled_from(PLACES[1:]),
    receiver=st.sampled_from(PLACES),
    bars=st.frozensets(st.sampled_from(("federal", "out_of_state", "US", "US-NV", "MX"))),
    more=st.sampled_from(("federal", "out_of_state", "US", "US-NV", "MX")),
)
def test_another_bar_never_lets_anybody_in(place: str, receiver: str, bars: frozenset[str], more: str) -> None:  # R19
    before = barred_reason(_agency("west", place, *bars), _agency("east", receiver))
    after = barred_reason(_agency("west", place, *bars, more), _agency("east", receiver))
    assert not before or after


@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=5))
def test_any_text_is_tidied_or_refused_with_its_field(jurisdiction: str, barred: list[str]) -> None:
    try:
        checked = checked_agency(_agency("west", jurisdiction, *barred))
    except InvalidInput as error:
        assert {violation.field for violation in error.violations} <= {"jurisdiction", "barred_receivers"}
    else:
        assert checked_agency(checked) == checked


class Registry:
    """The running service; failures come back as our errors."""

    def __init__(self, platform: TestPlatform) -> None:
        self.platform = platform

    async def call(self, scope: Scope, method: str, **fields: Any) -> Any:
        context = await self.platform.context("registry")
        stub = context.channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)
        try:
            return await getattr(stub, method)(getattr(pb, f"{method}Request")(**fields), metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def agreement(self, agreement_id: str) -> pb.Agreement:
        listed = (await self.call(OWNER_OPERATOR, "ListAgreements", include_changes=True)).agreements
        found: pb.Agreement = next(entry.agreement for entry in listed if entry.agreement.agreement_id == agreement_id)
        return found

    async def audit(self, agency_id: str) -> list[ledger_pb2.AuditEntry]:
        context, entries = await self.platform.context("registry"), []

        async def take(deliveries: Any) -> None:
            entries.extend(delivery.parse(ledger_pb2.AuditEntry) for delivery in deliveries)

        tail = context.bus.tail(AUDIT, [f"audit.{agency_id}"], take, start="all")
        task = context.lifecycle.spawn(tail.run(), "test tail")
        await tail.caught_up()
        task.cancel()
        return entries


# sees agreements of every agency
OWNER_OPERATOR = Scope.platform("operator")
WEST = person("west", "administrator", name="West Admin", principal_id="west-admin")


@pytest_asyncio.fixture
async def registry(small_platform: TestPlatform) -> AsyncIterator[Registry]:
    await small_platform.serve({"registry": serve})
    registry = Registry(small_platform)
    await registry.call(OWNER, "CreateAgency", agency_id="west", name="West", jurisdiction="US-CA")
    await registry.call(OWNER, "CreateAgency", agency_id="east", name="East", jurisdiction="us-nv")
    await registry.call(OWNER, "CreateAgency", agency_id="north", name="North", jurisdiction="US-CA")
    yield registry


async def _granted(registry: Registry, grantee: str) -> str:
    agreement = pb.Agreement(grantee_agency_id=grantee, alert_kinds=["plate_hit"])
    return str((await registry.call(WEST, "CreateAgreement", agreement=agreement)).agreement.agreement_id)


def _west(**changes: Any) -> pb.Agency:
    agency = pb.Agency(agency_id="west", name="West", time_zone="UTC", enabled=True, jurisdiction="US-CA")
    agency.MergeFrom(pb.Agency(**changes))
    return agency


async def test_a_bar_ends_agreements_at_once_and_tells_both_sides_alone(registry: Registry) -> None:  # R19 R31
    east, north = await _granted(registry, "east"), await _granted(registry, "north")
    mirror = (await registry.platform.context("registry")).directory.mirror("agreement", pb.Agreement)
    await registry.call(WEST, "UpdateAgency", agency=_west(barred_receivers=["out_of_state"]))

    async def ended() -> bool:
        seen = mirror.get(east)
        return seen is not None and bool(seen.barred_reason)

    await poll(ended)
    assert not in_force(mirror.get(east) or pb.Agreement(), utc_now())
    assert in_force(await registry.agreement(north), utc_now())
    for log, told in (("west", True), ("east", True), ("north", False)):
        about = [entry for entry in await registry.audit(log) if entry.action == "agreement.bar"]
        assert bool(about) is told, log
        assert all(entry.agreement_id == east and "out of US-CA" in entry.reason for entry in about)
    # and nobody talks around it: neither a new agreement, nor a narrower one, nor a grantee's payload
    with pytest.raises(Refused) as refused:
        await _granted(registry, "east")
    assert "R19" in refused.value.message
    narrower = pb.Agreement(agreement_id=east, alert_kinds=["plate_hit"], redactions=["image"])
    await registry.call(WEST, "NarrowAgreement", agreement=narrower)
    assert (await registry.agreement(east)).barred_reason
    # lifted by whose law it is
    await registry.call(WEST, "UpdateAgency", agency=_west())
    assert in_force(await registry.agreement(east), utc_now())


async def test_a_receiver_that_turns_federal_is_barred(registry: Registry) -> None:  # R19
    await registry.call(WEST, "UpdateAgency", agency=_west(barred_receivers=["federal"]))
    north = await _granted(registry, "north")
    operator = person("west", "platform_operator", principal_id="op")
    federal = pb.Agency(agency_id="north", name="North", time_zone="UTC", enabled=True, jurisdiction="US")
    await registry.call(operator, "UpdateAgency", agency=federal)
    assert "federal" in (await registry.agreement(north)).barred_reason


async def test_an_administrator_decides_neither_jurisdiction_nor_another_agency(registry: Registry) -> None:
    with pytest.raises(Refused):
        await registry.call(WEST, "UpdateAgency", agency=_west(jurisdiction="US-NV"))
    with pytest.raises(Refused):
        await registry.call(WEST, "UpdateAgency", agency=_switched_off())
    with pytest.raises(Refused):
        await registry.call(WEST, "UpdateAgency", agency=pb.Agency(agency_id="east", name="East", time_zone="UTC", enabled=True))
    with pytest.raises(NotFound):
        await registry.call(OWNER_OPERATOR, "UpdateAgency", agency=pb.Agency(agency_id="nobody", name="N", enabled=True))


def _switched_off() -> pb.Agency:
    agency = _west()
    agency.enabled = False
    return agency
