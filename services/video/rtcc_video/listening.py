"""A view's sound, switched by who looks."""

import json

from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_chassis.access import touched
from rtcc_chassis.errors import Conflict
from rtcc_video.engine.viewer import Viewer


def switch_sound(viewer: Viewer, camera: Camera, *, on: bool) -> None:
    """Raises `Conflict` where the view can't be heard."""
    touched(f"camera:{camera.camera_id}", owner_agency_id=camera.agency_id, new_value=json.dumps({"sound": on}))
    if not viewer.set_sound(on):
        raise Conflict(
            "This view can't be heard: its offer had no audio section for Opus beside the pictures (BUNDLE), or the camera's sound was "
            "allowed after it was opened, or isn't allowed. Open it anew; see docs/operations/sound.md."
        )
