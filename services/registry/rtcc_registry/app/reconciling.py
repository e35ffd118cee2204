"""What a start brings in line: the directory with the tables, and secrets with how they are kept.

The directory repeats the registry's tables. After a restore, or when the stream was made anew, it is brought back in line.
"""

from collections.abc import Mapping
from typing import Any

from rtcc_chassis.directory import Mirror
from rtcc_registry.app.acting import platform_scope
from rtcc_registry.app.records import CAMERA, EVERY_KIND, SOURCE, Store


async def reconcile(store: Store, mirrors: Mapping[str, Mirror[Any]]) -> int:
    """Publish every record that the directory lacks or has otherwise, retract what isn't stored; how many differed.

    `mirrors` by kind's name, complete. Writers wait meanwhile, else an old value could overtake a new one.
    """
    differing = 0
    async with store.work(platform_scope()) as work:
        await work.hold_still()
        for kind in EVERY_KIND:
            stored = {kind.identifier(record): record for record in await work.all(kind)}
            mirror = mirrors[kind.name]
            for identifier, record in stored.items():
                if mirror.get(identifier) != record:
                    await work.publish_again(kind, record)
                    differing += 1
            for record in mirror.values():
                if kind.identifier(record) not in stored:
                    await work.retract(kind, record)
                    differing += 1
    return differing


async def seal_plain_secrets(store: Store) -> int:
    """Seals every secret that isn't yet; how many there were."""
    async with store.work(platform_scope()) as work:
        return await work.seal_plain(CAMERA) + await work.seal_plain(SOURCE)
