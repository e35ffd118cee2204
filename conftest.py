"""What holds for every test: machines are shared, so hypothesis doesn't judge by the clock; and how files are shared out to workers."""

from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("openrtcc", deadline=None)
settings.load_profile("openrtcc")

# each whole platform costs 10 CPU-seconds to start and, with its Chromium, more than one core while it is used
_PLATFORMS = 2
_WITHOUT_PLATFORM = "services/"
# those that wait longest: begun last, they would be waited for alone
_FIRST = ("services/video/", "services/standalone/")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """As loadfile, but the first workers alone get the files that need a whole platform, and the others fill what is left meanwhile."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _assign_work_unit(self, node: Any) -> None:
            if int(node.gateway.id.removeprefix("gw")) >= _PLATFORMS:
                light = [scope for scope in self.workqueue if scope.startswith(_WITHOUT_PLATFORM)]
                if light:
                    chosen = next((scope for scope in light if scope.startswith(_FIRST)), light[0])
                    self.workqueue.move_to_end(chosen, last=False)
            super()._assign_work_unit(node)

    return Scheduling(config, log)
