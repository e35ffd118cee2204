"""The logs in PostgreSQL. Only inserts, but for the one row per log that holds its frontier."""

from collections.abc import Sequence
from typing import Any

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_ledger.app import Appended, AppendWork, EntryFilter, StoredLeaf
from rtcc_ledger.domain import AgencyReport, SignedCheckpoint
from rtcc_ledger.merkle import Frontier, NodeId
from rtcc_ledger.note import CheckpointVerifier
from rtcc_ledger.verification import verify_log

_COLUMNS = (
    "entry_id", "hash", "body", "recorded_at", "action", "outcome", "principal_id", "principal_agency_id", "owner_agency_id", "search",
)  # fmt: skip
_PLATFORM = Scope.platform("ledger")


class PostgresTransaction:
    """A `LogTransaction`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def lock_tree(self, agency_id: str) -> tuple[Frontier, int]:
        await self._connection.execute(
            "insert into ledger_tree (agency_id, size, frontier, root_hash, checkpoints) values ($1, 0, '', $2, 0) on conflict do nothing",
            agency_id,
            Frontier().root(),
        )
        row = await self._connection.fetchrow(
            "select size, frontier, checkpoints from ledger_tree where agency_id = $1 for update", agency_id
        )
        return Frontier.from_bytes(row["size"], row["frontier"]), row["checkpoints"]

    async def known_entry_ids(self, agency_id: str, entry_ids: Sequence[str]) -> set[str]:
        rows = await self._connection.fetch(
            "select entry_id from ledger_entry where agency_id = $1 and entry_id = any($2::text[])", agency_id, list(entry_ids)
        )
        return {row["entry_id"] for row in rows}

    async def write(self, agency_id: str, appended: Appended) -> None:
        leaves, checkpoint = appended.leaves, appended.checkpoint
        await self._connection.execute(
            """insert into ledger_entry (agency_id, leaf_index, entry_id, leaf_hash, body, recorded_at, action, outcome, principal_id,
                                         principal_agency_id, owner_agency_id, search)
               select $1, * from unnest($2::bigint[], $3::text[], $4::bytea[], $5::bytea[], $6::timestamptz[], $7::text[], $8::smallint[],
                                        $9::text[], $10::text[], $11::text[], $12::text[])""",
            agency_id,
            list(range(appended.first_index, appended.first_index + len(leaves))),
            *([getattr(leaf, column) for leaf in leaves] for column in _COLUMNS),
        )
        objects = [(index, name) for index, leaf in enumerate(leaves, appended.first_index) for name in leaf.object_ids]
        if objects:
            await self._connection.execute(
                "insert into ledger_object (agency_id, leaf_index, object_id) select $1, * from unnest($2::bigint[], $3::text[])",
                agency_id,
                [index for index, _ in objects],
                [name for _, name in objects],
            )
        if appended.nodes:
            await self._connection.execute(
                """insert into ledger_node (agency_id, last_leaf, level, hash)
                   select $1, * from unnest($2::bigint[], $3::smallint[], $4::bytea[])""",
                agency_id,
                [node.last_leaf for node in appended.nodes],
                [node.level for node in appended.nodes],
                list(appended.nodes.values()),
            )
        await self._connection.execute(
            """insert into ledger_checkpoint (agency_id, number, tree_size, root_hash, signed_at, key_id, note, signature)
               values ($1, $2, $3, $4, $5, $6, $7, $8)""",
            agency_id,
            checkpoint.number,
            checkpoint.tree_size,
            checkpoint.root_hash,
            checkpoint.signed_at,
            checkpoint.key_id,
            checkpoint.note,
            checkpoint.signature,
        )
        await self._connection.execute(
            "update ledger_tree set size = $2, frontier = $3, root_hash = $4, checkpoints = $5 where agency_id = $1",
            agency_id,
            appended.frontier.size,
            appended.frontier.to_bytes(),
            checkpoint.root_hash,
            checkpoint.number,
        )


class PostgresLogStore:
    """A `LogStore`."""

    def __init__(self, database: Database, verifier: CheckpointVerifier) -> None:
        self._database = database
        self._verifier = verifier

    async def append(self, work: AppendWork) -> list[SignedCheckpoint]:
        async with self._database.transaction(_PLATFORM) as connection:
            return await work(PostgresTransaction(connection))

    async def list_entries(self, scope: Scope, wanted: EntryFilter) -> tuple[list[StoredLeaf], int]:
        async with self._database.transaction(scope) as connection:
            size = await connection.fetchval("select size from ledger_tree where agency_id = $1", scope.agency_id)
            rows = await connection.fetch(
                r"""select leaf_index, leaf_hash, body from ledger_entry
                    where agency_id = $1 and leaf_index < $2
                      and ($3 = '' or action = $3) and ($4 = '' or principal_id = $4)
                      and ($5 = '' or search like '%' || $5 || '%' escape '\')
                    order by leaf_index desc limit $6""",
                scope.agency_id,
                2**62 if wanted.before_leaf is None else wanted.before_leaf,
                wanted.action,
                wanted.principal_id,
                _literal(wanted.text),
                wanted.limit,
            )
        return [_leaf(row) for row in rows], size or 0

    async def list_accesses(self, scope: Scope, object_id: str, limit: int) -> list[StoredLeaf]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select e.leaf_index, e.leaf_hash, e.body
                   from ledger_object o join ledger_entry e using (agency_id, leaf_index)
                   where o.agency_id = $1 and o.object_id = $2 order by o.leaf_index desc limit $3""",
                scope.agency_id,
                object_id.replace("\x00", " "),
                limit,
            )
        return [_leaf(row) for row in rows]

    async def find_entry(self, scope: Scope, entry_id: str) -> StoredLeaf | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                "select leaf_index, leaf_hash, body from ledger_entry where agency_id = $1 and entry_id = $2",
                scope.agency_id,
                entry_id.replace("\x00", " "),
            )
        return _leaf(row) if row else None

    async def newest_checkpoint(self, scope: Scope) -> SignedCheckpoint | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                "select * from ledger_checkpoint where agency_id = $1 order by number desc limit 1", scope.agency_id
            )
        return SignedCheckpoint(**row) if row else None

    async def newest_checkpoints(self) -> list[SignedCheckpoint]:
        """Of every log."""
        async with self._database.transaction(_PLATFORM) as connection:
            rows = await connection.fetch(
                """select c.* from ledger_tree t join ledger_checkpoint c on c.agency_id = t.agency_id and c.number = t.checkpoints
                   order by c.agency_id"""
            )
        return [SignedCheckpoint(**row) for row in rows]

    async def hashes(self, scope: Scope, nodes: Sequence[NodeId]) -> dict[NodeId, bytes]:
        leaves = [node.position for node in nodes if node.level == 0]
        above = [node for node in nodes if node.level > 0]
        async with self._database.transaction(scope) as connection:
            found = {
                NodeId(0, row["leaf_index"]): bytes(row["leaf_hash"])
                for row in await connection.fetch(
                    "select leaf_index, leaf_hash from ledger_entry where agency_id = $1 and leaf_index = any($2::bigint[])",
                    scope.agency_id,
                    leaves,
                )
            }
            rows = await connection.fetch(
                """select n.last_leaf, n.level, n.hash
                   from unnest($2::bigint[], $3::smallint[]) as wanted(last_leaf, level)
                   join ledger_node n on n.agency_id = $1 and n.last_leaf = wanted.last_leaf and n.level = wanted.level""",
                scope.agency_id,
                [node.last_leaf for node in above],
                [node.level for node in above],
            )
        found.update({NodeId(row["level"], row["last_leaf"] >> row["level"]): bytes(row["hash"]) for row in rows})
        return found

    async def verify(self, scope: Scope) -> AgencyReport:
        return await verify_log(self._database, scope, scope.agency_id, self._verifier)


def _leaf(row: Any) -> StoredLeaf:
    return StoredLeaf(row["leaf_index"], bytes(row["leaf_hash"]), bytes(row["body"]))


def _literal(text: str) -> str:
    """Text in which LIKE finds no pattern."""
    cleaned = text.replace("\x00", " ").lower()
    return cleaned.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
