"""For each call that names a thing: a valid request about a fresh thing of one agency.

`OF_A_THING` is complete by a test: a new call with an id in its request must be added before the isolation tests pass, to the module of
its service.
"""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from proof.requests import alerting, exchange, footage, identity, incidents, intake, registry, sky_and_positions, video, who_and_what
from proof.requests.building import Builder
from proof.requests.video import ICE_RESTART, OFFER, PUBLISHER_OFFER

__all__ = ("ICE_RESTART", "OFFER", "OF_A_THING", "PUBLISHER_OFFER", "ids_named_in")

OF_A_THING: dict[str, Builder] = {
    **alerting.REQUESTS,
    **exchange.REQUESTS,
    **footage.REQUESTS,
    **identity.REQUESTS,
    **incidents.REQUESTS,
    **intake.REQUESTS,
    **registry.REQUESTS,
    **sky_and_positions.REQUESTS,
    **video.REQUESTS,
    **who_and_what.REQUESTS,
}


def ids_named_in(descriptor: Descriptor, prefix: str = "") -> Iterator[str]:
    """The paths of the fields that name things."""
    for field in descriptor.fields:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if field.message_type.full_name.startswith("rtcc.") and prefix.count(".") < 2:
                yield from ids_named_in(field.message_type, f"{prefix}{field.name}.")
        elif field.name.endswith(("_id", "_ids")) or field.name == "plate":
            yield prefix + field.name
