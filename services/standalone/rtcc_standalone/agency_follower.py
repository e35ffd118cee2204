"""Every agency of the registry gets its NATS account on this machine, however the agency was made (console, command line, restore)."""

from rtcc.registry.v1.registry_pb2 import Agency
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.runner import Serve
from rtcc_chassis.settings import read
from rtcc_standalone.credentials import ensure_agency_password
from rtcc_standalone.folder import DataFolder
from rtcc_standalone.host_settings import HostSettings


def following_agencies(serve: Serve) -> Serve:
    """`serve` of the registry, with the follower beside it. The supervisor sees the new file and tells nats-server."""

    async def serve_and_follow(context: ServiceContext) -> None:
        folder = DataFolder(read(HostSettings, "standalone").data)
        agencies = context.directory.mirror("agency", Agency)

        def on_change(agency_id: str, _old: Agency | None, new: Agency | None) -> None:
            if new is not None and new.enabled:
                ensure_agency_password(folder, agency_id)
            else:
                # without its file the account is gone and its connections are cut at the next reload
                (folder.agencies / f"{agency_id}.json").unlink(missing_ok=True)

        agencies.on_change(on_change)
        for agency in agencies:
            on_change(agency.agency_id, None, agency)
        await serve(context)

    return serve_and_follow
