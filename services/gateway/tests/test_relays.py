"""Which relay of the video service a call goes to, and what consoles are told when one goes."""

import secrets
from typing import Any

from google.protobuf.message import Message

from rtcc.video.v1 import hls_pb2
from rtcc.video.v1 import video_pb2 as pb
from rtcc.video.v1.relay_pb2 import RelayLease
from rtcc_chassis.errors import NotFound
from rtcc_chassis.members import subject_of
from rtcc_chassis.relays import Relay, origin_of
from rtcc_chassis.rpc.contracts import rule_of
from rtcc_chassis.testing import free_port
from rtcc_gateway.relays import Relays, ranked

from .conftest import Gateway
from .live_sockets import console

IDS = [secrets.token_hex(8) for _ in range(3)]


def relay(position: int, **more: Any) -> Relay:
    return Relay(IDS[position], f"127.0.0.1:{position + 1}", **more)


class Followed(Relays):
    """Relays as heard, without a bus."""

    def __init__(self, *relays: Relay) -> None:
        super().__init__(None)  # type: ignore[arg-type] # nothing is called
        for one in relays:
            lease = RelayLease(relay_id=one.relay_id, rpc_address=one.rpc_address, load=one.load, draining=one.draining, lease_ms=1000)
            self.members.take(lease.SerializeToString())

    def of(self, method: str, message: Message) -> list[str]:
        return self.places(rule_of(f"/rtcc.video.v1.VideoService/{method}"), message).addresses


def test_a_new_view_goes_to_the_least_loaded_relay_and_to_the_origin_where_that_is_hardly_busier() -> None:
    idle = [relay(0), relay(1), relay(2)]
    origin = origin_of("c1", idle)
    assert ranked(idle, "c1")[0].relay_id == origin
    busier = [Relay(one.relay_id, one.rpc_address, load=0.1 if one.relay_id == origin else 0.0) for one in idle]
    assert ranked(busier, "c1")[0].relay_id == origin
    busy = [Relay(one.relay_id, one.rpc_address, load=0.3 if one.relay_id == origin else 0.1) for one in idle]
    assert ranked(busy, "c1")[0].relay_id != origin


def test_a_draining_relay_gets_nothing_new_unless_all_drain() -> None:
    assert [one.relay_id for one in ranked([relay(0, draining=True), relay(1, load=1.0)], "c1")] == [IDS[1]]
    assert [one.relay_id for one in ranked([relay(0, draining=True)], "c1")] == [IDS[0]]
    sending = relay(2, publishing=frozenset({"body"}))
    assert ranked([relay(0), relay(1), sending], "body")[0] is sending


def test_a_session_is_found_at_its_relay_and_one_of_a_lost_relay_nowhere() -> None:
    followed = Followed(relay(0), relay(1, draining=True))
    assert followed.of("CloseViewer", pb.CloseViewerRequest(camera_id="c1", viewer_id=f"{IDS[1]}.abc")) == ["127.0.0.1:2"]
    assert followed.of("ListViewers", pb.ListViewersRequest()) == ["127.0.0.1:1"]
    try:
        followed.of("UpdateViewer", pb.UpdateViewerRequest(camera_id="c1", viewer_id=f"{IDS[2]}.abc"))
    except NotFound as error:
        assert error.kind == "viewer"
    else:
        raise AssertionError("its relay is gone")
    rule, at_home = rule_of("/rtcc.video.v1.HlsService/GetHlsPlaylist"), f"{IDS[0]}.abc"
    assert followed.places(rule, hls_pb2.GetHlsPlaylistRequest(camera_id="c1", viewer_id=at_home)).held
    assert Followed().of("CloseViewer", pb.CloseViewerRequest(viewer_id=f"{IDS[0]}.abc")) == []


async def tell(gateway: Gateway, position: int, port: int, **more: Any) -> None:
    lease = RelayLease(relay_id=IDS[position], rpc_address=f"127.0.0.1:{port}", lease_ms=60_000, **more)
    await gateway.context.bus.publish_core(subject_of("video"), lease)


async def test_consoles_are_told_of_relays_that_go_and_a_view_is_opened_at_the_next_when_nobody_answers_at_the_first(
    gateway: Gateway,
) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("welcome")
        # nobody listens at the idle first one; the stand-in of the video service is the busy second one
        await tell(gateway, 0, free_port())
        await tell(gateway, 1, gateway.platform.rpc_port, load=0.9)
        await tell(gateway, 2, free_port())
        await tell(gateway, 2, free_port(), draining=True)
        await tell(gateway, 2, free_port(), gone=True)
        for lost in (False, True):
            ending = await opened.until("relay_ending")
            assert (ending.relay_id, ending.lost) == (IDS[2], lost)
        answer = await ada.post("/v1/whep/c1", data="v=0\r\n", headers={"Content-Type": "application/sdp"})
        assert answer.status == 201, await answer.text()
        assert [method for method, _, _ in gateway.services.asked].count("OpenViewer") == 1
        gone = await ada.delete(f"/v1/whep/c1/{IDS[2]}.view")
        assert gone.status == 404
