"""Recomputing a log from its stored bytes, chunk by chunk, against every checkpoint and every index column.

Found are: a changed, added, removed or moved entry, a changed index (who-saw-X would lie), a changed node (proofs would
fail), a checkpoint that was changed, removed, forged or signed by somebody else. A log and its newest checkpoints cut off
together are found by comparison with a checkpoint kept elsewhere: `kept` (the bus keeps the newest of each log).
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_ledger.domain import AgencyReport, Leaf, SignedCheckpoint, leaf_of
from rtcc_ledger.merkle import Frontier, NodeId, leaf_hash
from rtcc_ledger.note import CheckpointText, CheckpointVerifier, MalformedCheckpoint

_CHUNK = 500
_COLUMNS = ("entry_id", "recorded_at", "action", "outcome", "principal_id", "principal_agency_id", "owner_agency_id", "search")


async def verify_log(
    database: Database, scope: Scope, agency_id: str, verifier: CheckpointVerifier, kept: Sequence[CheckpointText] = ()
) -> AgencyReport:
    """Entries appended while it runs are left for the next time."""
    report = AgencyReport(agency_id)
    run = _Verification(database, scope, agency_id, verifier, report)
    await run.read_tree()
    await run.read_checkpoints()
    for text in kept:
        run.expect_root(text.tree_size, text.root_hash, f"checkpoint {text.number} kept elsewhere")
    await run.walk()
    return report


class _Verification:
    def __init__(self, database: Database, scope: Scope, agency_id: str, verifier: CheckpointVerifier, report: AgencyReport) -> None:
        self._database = database
        self._scope = scope
        self._agency_id = agency_id
        self._verifier = verifier
        self._report = report
        self._tree: Mapping[str, Any] | None = None
        self._roots: dict[int, list[tuple[bytes, str]]] = {}
        self._frontier = Frontier()

    async def read_tree(self) -> None:
        async with self._database.transaction(self._scope) as connection:
            # one statement, hence one snapshot
            row = await connection.fetchrow(
                """select (select size from ledger_tree where agency_id = $1) as size,
                          (select frontier from ledger_tree where agency_id = $1) as frontier,
                          (select root_hash from ledger_tree where agency_id = $1) as root_hash,
                          (select checkpoints from ledger_tree where agency_id = $1) as checkpoints,
                          (select count(*) from ledger_entry where agency_id = $1) as entries,
                          (select max(leaf_index) from ledger_entry where agency_id = $1) as newest,
                          (select min(leaf_index) from ledger_entry where agency_id = $1) as oldest,
                          (select count(*) from ledger_checkpoint where agency_id = $1) as notes,
                          (select max(number) from ledger_checkpoint where agency_id = $1) as newest_note,
                          (select count(*) from ledger_object o where agency_id = $1 and not exists (
                              select from ledger_entry e where e.agency_id = $1 and e.leaf_index = o.leaf_index)) as strays,
                          (select max(last_leaf) from ledger_node where agency_id = $1) as newest_node""",
                self._agency_id,
            )
        report = self._report
        size, newest = row["size"] or 0, -1 if row["newest"] is None else row["newest"]
        report.tree_size, report.checkpoints = size, row["notes"]
        if row["size"] is None and (row["entries"] or row["notes"]):
            report.add(0, "the log's tree is missing")
        if newest + 1 != size or row["entries"] != size or (row["oldest"] or 0) < 0:
            report.add(newest + 1, f"the tree says {size} entries; {row['entries']} are stored, the last at {newest}")
        if (row["newest_note"] or 0) != (row["checkpoints"] or 0) or row["notes"] != (row["checkpoints"] or 0):
            report.add(size, f"the tree says {row['checkpoints'] or 0} checkpoints; {row['notes']} are stored")
        if row["strays"]:
            report.add(size, f"{row['strays']} object names belong to no entry")
        if row["newest_node"] is not None and row["newest_node"] >= size:
            report.add(size, "a stored node covers leaves beyond the tree")
        self._tree = row

    async def read_checkpoints(self) -> None:
        async with self._database.transaction(self._scope) as connection:
            rows = await connection.fetch(
                "select * from ledger_checkpoint where agency_id = $1 and number <= $2 order by number",
                self._agency_id,
                (self._tree or {}).get("newest_note") or 0,
            )
        size = self._report.tree_size
        expected_number, previous_size = 1, 0
        for count, row in enumerate(rows):
            checkpoint = SignedCheckpoint(**row)
            if checkpoint.number != expected_number:
                self._report.add(previous_size, f"checkpoints {expected_number} to {checkpoint.number - 1} are missing")
            expected_number = checkpoint.number + 1
            self._check_note(checkpoint)
            if not previous_size < checkpoint.tree_size <= size:
                self._report.add(checkpoint.tree_size, f"checkpoint {checkpoint.number} is out of order or beyond the tree")
            previous_size = checkpoint.tree_size
            self.expect_root(checkpoint.tree_size, checkpoint.root_hash, f"checkpoint {checkpoint.number}")
            if count % 100 == 99:
                await asyncio.sleep(0)
        if previous_size != size:
            self._report.add(previous_size, "no checkpoint covers the newest entries")
        if size and self._tree is not None:
            self.expect_root(size, bytes(self._tree["root_hash"]), "the tree's own root")

    def expect_root(self, tree_size: int, root_hash: bytes, whose: str) -> None:
        if not 0 < tree_size <= self._report.tree_size:
            self._report.add(
                self._report.tree_size, f"{whose} covers {tree_size} entries; the log holds {self._report.tree_size}: its end was cut off"
            )
            return
        self._roots.setdefault(tree_size, []).append((root_hash, whose))

    def _check_note(self, checkpoint: SignedCheckpoint) -> None:
        place, name = checkpoint.tree_size, f"checkpoint {checkpoint.number}"
        if not self._verifier.holds(checkpoint.note, checkpoint.signature, checkpoint.key_id):
            self._report.add(place, f"{name}: the signature of key {checkpoint.key_id} doesn't hold")
            return
        try:
            text = CheckpointText.from_text(checkpoint.note)
        except MalformedCheckpoint as error:
            self._report.add(place, f"{name}: {error}")
            return
        stored = CheckpointText(
            f"{self._verifier.name}/{self._agency_id}", checkpoint.tree_size, checkpoint.root_hash, checkpoint.number, checkpoint.signed_at
        )
        if text != stored:
            self._report.add(place, f"{name}: its columns are not what was signed")

    async def walk(self) -> None:
        for start in range(0, self._report.tree_size, _CHUNK):
            end = min(start + _CHUNK, self._report.tree_size)
            async with self._database.transaction(self._scope) as connection:
                rows = await connection.fetch(
                    "select * from ledger_entry where agency_id = $1 and leaf_index >= $2 and leaf_index < $3 order by leaf_index",
                    self._agency_id, start, end,
                )  # fmt: skip
                objects = await connection.fetch(
                    "select leaf_index, object_id from ledger_object where agency_id = $1 and leaf_index >= $2 and leaf_index < $3",
                    self._agency_id, start, end,
                )  # fmt: skip
                nodes = await connection.fetch(
                    "select last_leaf, level, hash from ledger_node where agency_id = $1 and last_leaf >= $2 and last_leaf < $3",
                    self._agency_id, start, end,
                )  # fmt: skip
            self._check_chunk(start, end, rows, objects, nodes)
            await asyncio.sleep(0)
        self._report.root_hash = self._frontier.root()
        stored = bytes((self._tree or {}).get("frontier") or b"")
        if self._frontier.to_bytes() != stored:
            self._report.add(self._report.tree_size, "the stored frontier is not that of the entries")

    def _check_chunk(self, start: int, end: int, rows: Sequence[Any], objects: Sequence[Any], nodes: Sequence[Any]) -> None:
        by_index = {row["leaf_index"]: row for row in rows}
        names: dict[int, set[str]] = {}
        for item in objects:
            names.setdefault(item["leaf_index"], set()).add(item["object_id"])
        computed: dict[NodeId, bytes] = {}
        for index in range(start, end):
            row = by_index.get(index)
            if row is None:
                self._report.add(index, "the entry is missing")
                hashed = leaf_hash(b"")
            else:
                leaf = leaf_of(bytes(row["body"]))
                hashed = leaf.hash
                self._check_columns(index, row, leaf, names.get(index, set()))
            self._frontier, finished = self._frontier.append((hashed,))
            computed.update(finished)
            for root, whose in self._roots.get(index + 1, ()):
                if root != self._frontier.root():
                    self._report.add(index, f"{whose} has another root: an entry up to here was changed, added, removed or moved")
        stored = {NodeId(node["level"], node["last_leaf"] >> node["level"]): bytes(node["hash"]) for node in nodes}
        if stored != computed:
            wrong = min(node.last_leaf for node in stored.keys() | computed.keys() if stored.get(node) != computed.get(node))
            self._report.add(wrong, "a stored node of the tree is not that of the entries")

    def _check_columns(self, index: int, row: Any, leaf: Leaf, names: set[str]) -> None:
        if bytes(row["leaf_hash"]) != leaf.hash:
            self._report.add(index, f"entry {row['entry_id']}: its bytes don't have the stored hash")
        wrong = [column for column in _COLUMNS if row[column] != getattr(leaf, column)]
        if names != set(leaf.object_ids):
            wrong.append("object_ids")
        if wrong:
            self._report.add(index, f"entry {row['entry_id']}: the index says otherwise than the entry: {', '.join(wrong)}")
