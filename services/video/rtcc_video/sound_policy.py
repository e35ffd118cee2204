"""Whether a camera's sound may be asked for at all: installation, agency and camera have to allow it (0019)."""

from typing import Protocol

from rtcc.registry.v1.registry_pb2 import Agency, Camera


class Agencies(Protocol):
    """The directory's agencies, as far as they are read here."""

    def get(self, identifier: str) -> Agency | None: ...


class SoundPolicy:
    """`by_policy` False: the installation has none."""

    def __init__(self, agencies: Agencies, *, by_policy: bool) -> None:
        self._agencies = agencies
        self._by_policy = by_policy

    def allows(self, camera: Camera) -> bool:
        """Off unless everybody who has a say said yes."""
        agency = self._agencies.get(camera.agency_id)
        return self._by_policy and camera.enabled and camera.sound and agency is not None and agency.enabled and agency.sound_allowed
