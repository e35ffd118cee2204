"""Minutes of motion, detections, and which pictures were looked at, in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_video.recording.domain import Segment
from rtcc_video.recording.store import SEGMENT_COLUMNS, segment_of
from rtcc_video.searching.domain import MINUTE, Box, Lead, MotionMinute, Question


class SearchStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_motion(self, scope: Scope, minutes: Sequence[tuple[str, MotionMinute]]) -> None:
        """With the agency of each; a minute that is there gets the higher value of each second."""
        async with self._database.transaction(scope) as connection:
            await connection.executemany(
                """insert into footage_motion (agency_id, camera_id, minute, scores, peak) values ($1, $2, $3, $4, $5)
                   on conflict (agency_id, camera_id, minute) do update set
                       scores = footage_motion_merged(footage_motion.scores, excluded.scores),
                       peak = greatest(footage_motion.peak, excluded.peak)""",
                [(agency_id, one.camera_id, one.minute, one.scores, max(one.scores)) for agency_id, one in minutes],
            )

    async def remove_orphans(self, scope: Scope, before: datetime) -> int:
        """Minutes of the week before `before` without any segment; how many. It is asked every hour, and looks at no minute for months."""
        async with self._database.transaction(scope) as connection:
            done = await connection.execute(
                """delete from footage_motion m where m.minute < $1 and m.minute > $1 - interval '7 days' and not exists (
                       select 1 from footage_segment s
                       where s.agency_id = m.agency_id and s.camera_id = m.camera_id and s.started_at > m.minute - interval '1 minute'
                         and s.started_at < m.minute + interval '1 minute')""",
                before,
            )
        return int(done.rpartition(" ")[2])

    async def motion(
        self, scope: Scope, camera_ids: Sequence[str], starts_at: datetime, ends_at: datetime
    ) -> dict[str, list[MotionMinute]]:
        """Camera -> its minutes in the window, in order."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select camera_id, minute, scores from footage_motion
                   where agency_id = $1 and camera_id = any($2::text[]) and minute > $3 and minute < $4 order by camera_id, minute""",
                scope.agency_id,
                list(camera_ids),
                starts_at - MINUTE,
                ends_at,
            )
        found: dict[str, list[MotionMinute]] = {camera_id: [] for camera_id in camera_ids}
        for row in rows:
            found[row["camera_id"]].append(MotionMinute(row["camera_id"], row["minute"], row["scores"]))
        return found

    async def loud_minutes(
        self, scope: Scope, camera_ids: Sequence[str], starts_at: datetime, ends_at: datetime, least: int, limit: int
    ) -> dict[str, list[MotionMinute]]:
        """Camera -> its minutes whose highest byte is at least `least`: the `limit` loudest of all, in order."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select camera_id, minute, scores from (
                       select * from footage_motion
                       where agency_id = $1 and camera_id = any($2::text[]) and minute > $3 and minute < $4 and peak >= $5
                       order by peak desc, minute desc limit $6) loudest
                   order by camera_id, minute""",
                scope.agency_id,
                list(camera_ids),
                starts_at - MINUTE,
                ends_at,
                least,
                limit,
            )
        found: dict[str, list[MotionMinute]] = {}
        for row in rows:
            found.setdefault(row["camera_id"], []).append(MotionMinute(row["camera_id"], row["minute"], row["scores"]))
        return found

    async def detections(self, scope: Scope, camera_ids: Sequence[str], question: Question) -> list[Lead]:
        """The surest, one more than the limit at most."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select * from footage_detection
                   where agency_id = $1 and camera_id = any($2::text[]) and taken_at >= $3 and taken_at < $4
                     and (cardinality($5::text[]) = 0 or kind = any($5)) and ($6 = '' or colour = $6) and score >= $7
                   order by score desc, taken_at desc limit $8""",
                scope.agency_id,
                list(camera_ids),
                question.starts_at,
                question.ends_at,
                list(question.kinds),
                question.colour,
                question.least_score,
                question.limit + 1,
            )
        return [_lead(row) for row in rows]

    async def examined(self, scope: Scope, camera_ids: Sequence[str], starts_at: datetime, ends_at: datetime) -> tuple[int, int]:
        """Segments of the window that a model looked at, and all that begin with a key picture."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                """select (select count(*) from footage_examination
                           where agency_id = $1 and camera_id = any($2::text[]) and started_at >= $3 and started_at < $4
                             and outcome = 'done') as done,
                          (select count(*) from footage_segment
                           where agency_id = $1 and camera_id = any($2::text[]) and started_at >= $3 and started_at < $4
                             and starts_with_key) as segments""",
                scope.agency_id,
                list(camera_ids),
                starts_at,
                ends_at,
            )
        return row["done"], row["segments"]

    async def waiting(self, scope: Scope, since: datetime, limit: int) -> list[Segment]:
        """Segments that begin with a key picture and that no model looked at, the oldest first."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                f"""select {SEGMENT_COLUMNS} from footage_segment s
                    where started_at > $1 and starts_with_key
                      and not exists (select 1 from footage_examination e where e.segment_id = s.segment_id)
                    order by started_at limit $2""",
                since,
                limit,
            )
        return [segment_of(row) for row in rows]

    async def count_waiting(self, scope: Scope, since: datetime, until: datetime) -> int:
        """How many of them began in a time."""
        async with self._database.transaction(scope) as connection:
            count = await connection.fetchval(
                """select count(*) from footage_segment s
                   where started_at > $1 and started_at <= $2 and starts_with_key
                     and not exists (select 1 from footage_examination e where e.segment_id = s.segment_id)""",
                since,
                until,
            )
        return int(count)

    async def put_examination(self, scope: Scope, segment: Segment, outcome: str, model: str, leads: Sequence[Lead]) -> None:
        """What was seen and that it was looked at, together. A segment that was deleted meanwhile takes nothing."""
        async with self._database.transaction(scope) as connection:
            # nobody deletes it before this is committed
            if not await connection.fetchval("select 1 from footage_segment where segment_id = $1 for key share", segment.segment_id):
                return
            await connection.execute(
                """insert into footage_examination (segment_id, agency_id, camera_id, started_at, outcome, model)
                   values ($1, $2, $3, $4, $5, $6) on conflict (segment_id) do nothing""",
                segment.segment_id,
                segment.agency_id,
                segment.camera_id,
                segment.started_at,
                outcome,
                model,
            )
            rows = [(lead, lead.box) for lead in leads if lead.box is not None]
            await connection.executemany(
                """insert into footage_detection (detection_id, agency_id, camera_id, segment_id, taken_at, kind, score, box_left, box_top,
                                                  box_width, box_height, colour, model)
                   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict (detection_id) do nothing""",
                [
                    (
                        lead.lead_id, segment.agency_id, segment.camera_id, segment.segment_id, lead.at, lead.kind, lead.score, box.left,
                        box.top, box.width, box.height, lead.colour, lead.model,
                    )
                    for lead, box in rows
                ],
            )  # fmt: skip


def _lead(row: Any) -> Lead:
    box = Box(row["box_left"], row["box_top"], row["box_width"], row["box_height"])
    return Lead(
        row["detection_id"], row["camera_id"], row["agency_id"], row["taken_at"], row["kind"], row["score"], box, row["colour"],
        row["model"],
    )  # fmt: skip
