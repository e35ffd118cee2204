"""Whether running views would still be allowed: decided together for those who differ in nothing that decides."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, Agreement, Camera, Person
from rtcc_chassis.access import Access, Decision, PolicyEngine
from rtcc_chassis.scope import Scope
from rtcc_video.app import Rights
from rtcc_video.domain import View

NOW = datetime(2026, 11, 27, tzinfo=UTC)
ENGINE = PolicyEngine.load()


class CountedAccess(Access):
    """Counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(ENGINE, None)  # type: ignore[arg-type] # nothing is recorded here
        self.asked = 0

    def decide(self, *question: Any) -> Decision:
        self.asked += 1
        return super().decide(*question)


def rights_of(people: dict[str, Person]) -> tuple[Rights, CountedAccess]:
    cameras = {name: Camera(camera_id=name, agency_id="east", enabled=name != "off", has_stream=True) for name in ("shared", "own", "off")}
    agreement = Agreement(
        agreement_id="a1", grantor_agency_id="east", grantee_agency_id="west", status=AGREEMENT_STATUS_ACTIVE, camera_ids=["shared", "off"],
        cameras_live=True,
    )  # fmt: skip
    access = CountedAccess()
    return Rights(access, cameras, {"a1": agreement}, people, lambda: NOW), access  # type: ignore[arg-type] # mirrors are read like this


kinds: st.SearchStrategy[Any] = st.sampled_from(["person", "service"])
scopes = st.builds(
    lambda agency, kind, name, role, purpose, case: Scope(
        agency, f"service:{name}" if kind == "service" else name, kind, frozenset({role}), purpose=purpose, case_number=case
    ),
    st.sampled_from(["east", "west", "north"]), kinds, st.sampled_from(["video", "search", "ann", "ben"]),
    st.sampled_from(["operator", "viewer", "auditor", "nobody"]), st.sampled_from(["", "stolen vehicle"]), st.sampled_from(["", "W-1"]),
)  # fmt: skip
views = st.builds(
    lambda number, camera, owner, scope: View(str(number), camera, owner, scope, "", NOW),
    st.integers(0, 1000), st.sampled_from(["shared", "own", "off", "gone"]), st.sampled_from(["east", "east", "west"]), scopes,
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(views, max_size=30), st.booleans())
def test_what_is_decided_together_is_what_is_decided_for_each_alone(open_views: list[View], ann_enabled: bool) -> None:
    rights, _ = rights_of({"ann": Person(person_id="ann", enabled=ann_enabled, roles=["auditor"]), "ben": Person(enabled=True, roles=[])})
    decided: dict[object, Decision] = {}
    together = [rights.still(view, decided) for view in open_views]
    assert together == [rights.still(view, {}) for view in open_views]


def test_partners_with_one_purpose_are_one_question_and_each_who_differs_another() -> None:
    rights, access = rights_of({"ann": Person(person_id="ann", enabled=True, roles=["nobody"]), "eve": Person(enabled=False)})
    scope = Scope("west", "p", "person", frozenset({"operator"}), purpose="stolen vehicle", case_number="W-1")
    partners = [View(str(number), "shared", "east", replace(scope, principal_id=f"p{number}"), "a1", NOW) for number in range(50)]
    different = [
        View("51", "shared", "east", replace(scope, principal_id="ann"), "a1", NOW),
        View("52", "shared", "east", replace(scope, principal_id="eve"), "a1", NOW),
        View("53", "shared", "east", replace(scope, purpose=""), "a1", NOW),
        View("54", "own", "east", scope, "", NOW),
        View("55", "shared", "east", replace(scope, agency_id="north"), "", NOW),
    ]
    decided: dict[object, Decision] = {}
    allowed = [rights.still(view, decided).allowed for view in itertools.chain(partners, different)]
    assert allowed == [True] * 50 + [False] * 5
    # the disabled account is never asked about
    assert access.asked == 5
