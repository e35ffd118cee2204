"""Who lives, and whose a thing is."""

import time

import hypothesis.strategies as st
import pytest
from hypothesis import given

from rtcc_chassis.members import Beat, Members, owner_of, subject_of
from rtcc_chassis.testing import TestPlatform, poll

names = st.text(alphabet="0123456789abcdef", min_size=4, max_size=8)
crews = st.sets(names, min_size=1, max_size=8)
keys = st.lists(st.uuids().map(str), min_size=1, max_size=60, unique=True)


def read(data: bytes) -> Beat[str]:
    member_id, separator, rest = data.decode().partition(" ")
    if not separator:
        raise ValueError("no heartbeat")
    return Beat(member_id, 1.0, rest == "gone", rest)


class Watched:
    """Members with a clock of the test's own."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.members: Members[str] = Members("video", read, lambda: self.now_s)
        self.told: list[tuple[str, str | None, str | None]] = []
        self.members.on_change(lambda *change: self.told.append(change))

    def pass_time(self, seconds: float, *beats: bytes) -> None:
        for _ in range(round(seconds / 0.2)):
            self.now_s += 0.2
            for beat in beats:
                self.members.take(beat)
            self.members.look()


@given(crews, names, keys)
def test_who_comes_takes_its_own_and_who_goes_gives_its_own_and_nothing_else_moves(crew: set[str], other: str, things: list[str]) -> None:
    before = {thing: owner_of(thing, crew) for thing in things}
    joined = {thing: owner_of(thing, crew | {other}) for thing in things}
    assert all(joined[thing] in (before[thing], other) for thing in things)
    for leaving in crew:
        left = {thing: owner_of(thing, crew - {leaving}) for thing in things}
        assert all(left[thing] == before[thing] for thing in things if before[thing] != leaving)


@given(crews, keys)
def test_everybody_gets_the_same_answer_whatever_order_they_heard_the_members_in(crew: set[str], things: list[str]) -> None:
    assert [owner_of(thing, sorted(crew)) for thing in things] == [owner_of(thing, sorted(crew, reverse=True)) for thing in things]


def test_things_are_shared_out_evenly() -> None:
    crew = [f"relay-{number}" for number in range(4)]
    tally = {member: 0 for member in crew}
    for number in range(4000):
        tally[owner_of(f"camera-{number}", crew)] += 1
    assert all(850 < count < 1150 for count in tally.values()), tally
    assert owner_of("anything", []) == ""


def test_a_member_is_lost_when_its_lease_runs_out_and_gone_at_its_last_word() -> None:
    watched = Watched()
    watched.members.take(b"a one")
    watched.members.take(b"b one")
    watched.pass_time(3.0, b"a one")
    assert watched.members.live() == {"a": "one"}
    watched.members.take(b"a gone")
    assert watched.members.live() == {}
    assert watched.told == [("a", None, "one"), ("b", None, "one"), ("b", "one", None), ("a", "one", None)]


def test_who_was_held_up_or_had_no_bus_has_no_say_about_others() -> None:
    watched = Watched()
    watched.members.take(b"a one")
    watched.now_s += 30.0  # this process stood still, or heard nobody
    watched.members.look()
    assert watched.members.live() == {"a": "one"}
    watched.pass_time(2.0)
    assert watched.members.live() == {}


def test_a_change_of_what_it_says_is_told_and_a_repeat_is_not() -> None:
    watched = Watched()
    for beat in (b"a one", b"a one", b"a two", b"nonsense"):
        watched.members.take(beat)
    assert watched.told == [("a", None, "one"), ("a", "one", "two")]


@pytest.mark.asyncio
async def test_members_are_heard_over_nats_and_an_outage_of_it_makes_nobody_lost(small_platform: TestPlatform) -> None:
    import os
    import signal

    bus = (await small_platform.context("video")).bus
    members: Members[str] = Members("video", read)
    await members.follow(bus)
    assert small_platform.process is not None
    small_platform.process.lifecycle.spawn(members.run(bus), "members")
    await bus.publish_core(subject_of("video"), b"a one")
    # before the outage: 1 s later it would be lost

    async def heard() -> bool:
        return members.get("a") == "one"

    await poll(heard)
    os.kill(small_platform.nats_process.pid, signal.SIGSTOP)
    try:
        ends_s = time.monotonic() + 2.5

        async def waited() -> bool:
            return time.monotonic() > ends_s

        await poll(waited)
        assert members.get("a") == "one"
    finally:
        os.kill(small_platform.nats_process.pid, signal.SIGCONT)

    async def lost() -> bool:
        return members.get("a") is None

    await poll(lost)
