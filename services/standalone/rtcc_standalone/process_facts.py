"""What the kernel tells of processes: children, memory. Linux /proc, no library."""

import os
from collections.abc import Iterable
from pathlib import Path


def descendants(process_id: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (parent := _parent(int(folder.name))) is not None:
            children.setdefault(parent, []).append(int(folder.name))
    found, waiting = [], [process_id]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting += children.get(current, [])
    return found


def memory_mb(process_ids: Iterable[int]) -> float:
    """Proportional set size: shared pages are counted once over all processes (proc(5), smaps_rollup). MB = 10^6 bytes."""
    total_kib = 0
    for process_id in process_ids:
        try:
            for line in Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total_kib += int(line.split()[1])
        except (OSError, ValueError):
            continue
    return total_kib * 1024 / 1e6


def exists(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _parent(process_id: int) -> int | None:
    try:
        # the name in brackets may hold anything: fields are counted after the last bracket
        return int(Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
