"""What people see: progress with the seconds since the start, on the error output, so that the answer alone stands on the standard one."""

import sys
import time


class Steps:
    """Prints one line a step."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self._began:6.1f} s] {text}", file=sys.stderr, flush=True)

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began


def say(text: str = "") -> None:
    print(text, flush=True)


def warn(text: str) -> None:
    print(f"rtcc: {text}", file=sys.stderr, flush=True)
