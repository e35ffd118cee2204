"""`./rtcc bench identity`: who is meant, among a million, against pg_trgm in the same run.

Both designs answer the same queries in the same PostgreSQL and re-rank at most 60 candidates with the same code; counted are the CPU
seconds of the PostgreSQL backend and of this process from the query's text to the ten best. pg_trgm is used as its documentation says:
a GIN index on the folded full name, `%` with its default threshold, the nearest 60 by similarity, those with the birth date first.

`isolation_ratio`: a search with 30 agencies visible under row-level security (all of them, so that the answers must be the same, which
is checked), divided by the plain query of a superuser whom no policy concerns, through the same pool and transaction.
"""

import argparse
import asyncio
import os
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

sys.path.insert(0, str(Path(__file__).parents[1]))
from proof.invented_persons import Invented, Wrongly, asked_wrongly, population
from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import Servers
from rtcc_identity import service
from rtcc_identity.app.ports import Candidate
from rtcc_identity.app.search import query_of, rank
from rtcc_identity.domain.dates import BirthDate, parse
from rtcc_identity.domain.names import asked_names, fold, name_of
from rtcc_identity.domain.records import Prepared
from rtcc_identity.domain.scoring import Asked
from rtcc_identity.index_rows import INDEX_COLUMNS, index_row
from rtcc_identity.store import PREFILTER, RecordStore

AGENCIES = [f"agency-{number:02}" for number in range(30)]
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_TODAY = BirthDate(2026, 1, 1)
_CHUNK = 20_000
_BATCH = 200
_UNPROTECTED = """select record_number, agency_id, names, birth from person_index p where p.keys && $1
    order by (p.surname = any ($2))::integer * 2 + (p.given = any ($3) or p.formal = any ($3))::integer * 2
        + (p.birth = any ($4))::integer * 3 + (p.birth between $5 and $6)::integer + p.has_aliases::integer * 2 desc, p.record_number
    limit $7"""
_TRIGRAMS = """select record_number, agency_id, names, birth from person_index where full_name % $1
    order by (birth = $2) desc, similarity(full_name, $1) desc limit $3"""

Search = Callable[[Asked, Wrongly], Awaitable[list[Candidate]]]


@dataclass(slots=True)
class Result:
    """What one design did with the queries."""

    cpu_ms: float
    times_ms: list[float]
    found: dict[str, list[bool]]
    answers: list[list[int]]

    def percentile_ms(self, percent: int) -> float:
        return self.times_ms[min(len(self.times_ms) - 1, len(self.times_ms) * percent // 100)]

    @property
    def recall(self) -> float:
        return statistics.fmean(hit for hits in self.found.values() for hit in hits)


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Prints conditions and recall by kind of mistake; answers the figures."""
    parser = argparse.ArgumentParser(prog="bench identity", description=__doc__.splitlines()[0])
    parser.add_argument("--persons", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=2_400, help="all of them for recall")
    parser.add_argument("--compared", type=int, default=240, help="of these for pg_trgm, which takes its time")
    return asyncio.run(_measure(parser.parse_args(argv)))


async def _measure(options: argparse.Namespace) -> dict[str, Any]:
    people = population(options.persons)
    queries = asked_wrongly(people, options.queries)
    servers = Servers()
    try:
        name = await servers.create_database()
        url = f"postgresql://postgres:{servers.password}@127.0.0.1:{await servers.postgres_port()}/{name}"
        administrator = await asyncpg.connect(url, server_settings={"search_path": "identity"})
        open_database = await Database.connect(url, "identity", pool_size=1)
        database = await Database.connect(await servers.database_url(name, "identity"), "identity", pool_size=1)
        await database.migrate(Path(service.__file__).parent / "migrations")
        loaded = await _load(administrator, people)
        store, every = RecordStore(database), Scope.service("identity", AGENCIES[0])

        async def ours(asked: Asked, query: Wrongly) -> list[Candidate]:
            return await store.candidates(every, query_of(asked), AGENCIES[1:])

        async def unprotected(asked: Asked, query: Wrongly) -> list[Candidate]:
            wanted = query_of(asked)
            order = (wanted.surnames, wanted.givens, wanted.births, wanted.birth_low, wanted.birth_high, PREFILTER)
            async with open_database.statement(every) as connection:
                rows = await connection.fetch(_UNPROTECTED, wanted.strong, *order)
                if len(rows) < (1 if wanted.births else 10) and wanted.weak:
                    rows += await connection.fetch(_UNPROTECTED, wanted.weak, *order)
            return [Candidate(*row) for row in rows]

        async def trigrams(asked: Asked, query: Wrongly) -> list[Candidate]:
            number = asked.birth.number if asked.birth else 0
            async with open_database.statement(every) as connection:
                rows = await connection.fetch(_TRIGRAMS, fold(query.name), number, PREFILTER)
            return [Candidate(*row) for row in rows]

        pids = [await _pid_of(open_database, every, plans=True), await _pid_of(database, every)]
        compared = queries[: options.compared]
        # once unmeasured, so that neither finds pages in memory that the other had to fetch; then batch by batch, each first in turn
        await _ask(ours, queries, pids)
        whole, plain = await _in_turn(ours, unprotected, queries, pids)
        assert whole.answers == plain.answers, "the function and the plain query must find the same persons"
        same = await _ask(ours, compared, pids)
        await _ask(trigrams, compared[:12], pids)
        against = await _ask(trigrams, compared, pids)
        sizes = await administrator.fetchrow(
            "select pg_relation_size('person_index_keys') / 1e6 keys, pg_relation_size('person_index_trigrams') / 1e6 trigrams"
        )
        for connected in (database, open_database, administrator):
            await connected.close()
    finally:
        servers.stop()
    _print_conditions(options, loaded, whole, against)
    return {
        "persons": options.persons,
        "queries": options.queries,
        "cpu_ratio_vs_pg_trgm": round(against.cpu_ms / same.cpu_ms, 1),
        "recall_at_10": round(whole.recall, 4),
        "isolation_ratio": round(whole.cpu_ms / plain.cpu_ms, 3),
        "cpu_ms": round(whole.cpu_ms, 2),
        "cpu_ms_of_compared": round(same.cpu_ms, 2),
        "p50_ms": round(whole.percentile_ms(50), 2),
        "p95_ms": round(whole.percentile_ms(95), 2),
        "unprotected_cpu_ms": round(plain.cpu_ms, 2),
        "pg_trgm_queries": len(compared),
        "pg_trgm_cpu_ms": round(against.cpu_ms, 1),
        "pg_trgm_p50_ms": round(against.percentile_ms(50), 1),
        "pg_trgm_recall_at_10": round(against.recall, 4),
        "recall_at_10_of_compared": round(same.recall, 4),
        "keys_index_mb": round(sizes["keys"]),
        "pg_trgm_index_mb": round(sizes["trigrams"]),
        **loaded,
    }


async def _pid_of(database: Database, scope: Scope, *, plans: bool = False) -> int:
    async with database.transaction(scope) as connection:
        await connection.execute("set max_parallel_workers_per_gather = 0")
        if plans:
            # as the function does: a generic plan can't know how rare the keys are
            await connection.execute("set plan_cache_mode = force_custom_plan; set enable_seqscan = off")
        return int(await connection.fetchval("select pg_backend_pid()"))


async def _load(administrator: Any, people: Sequence[Invented]) -> dict[str, float]:
    """All by COPY, indexes after: an installation of a million fills itself over hours, nobody waits for it here."""
    began = time.monotonic()
    await administrator.execute("drop index person_index_keys; alter table person_index drop constraint person_index_record_number_fkey")
    await administrator.execute("alter table person_index add column full_name text not null default ''")
    key_s = 0.0
    for start in range(0, len(people), _CHUNK):
        cpu = _own_cpu_s()
        records = [_prepared(person) for person in people[start : start + _CHUNK]]
        rows = [
            (*index_row(number, AGENCIES[number % len(AGENCIES)], record), fold(f"{person.given} {person.surname}"))
            for (number, record), person in zip(enumerate(records, start), people[start : start + _CHUNK], strict=True)
        ]
        key_s += _own_cpu_s() - cpu
        await administrator.copy_records_to_table("person_index", records=rows, columns=[*INDEX_COLUMNS, "full_name"], timeout=300)
    copied = time.monotonic()
    await administrator.execute("set maintenance_work_mem = '512MB'")
    await administrator.execute("create index person_index_keys on person_index using gin (keys) with (fastupdate = off)", timeout=1800)
    keys = time.monotonic()
    await administrator.execute("create extension pg_trgm schema identity")
    await administrator.execute(
        "create index person_index_trigrams on person_index using gin (full_name gin_trgm_ops) with (fastupdate = off)", timeout=1800
    )
    await administrator.execute("vacuum analyze person_index", timeout=600)
    return {
        "index_row_us": round(key_s / len(people) * 1e6, 1),
        "load_s": round(copied - began, 1),
        "keys_index_s": round(keys - copied, 1),
        "pg_trgm_index_s": round(time.monotonic() - keys, 1),
    }


def _prepared(person: Invented) -> Prepared:
    names = (name_of(person.given, person.surname),)
    return Prepared(pb.Record(), "person", b"", names=names, birth=parse(person.birth, "birth_date", _TODAY.year))


async def _ask(search: Search, queries: Sequence[Wrongly], pids: Sequence[int]) -> Result:
    """One query after the other; CPU of this process and of the two backends, of which one works."""
    found: dict[str, list[bool]] = {}
    answers, times = [], []
    cpu = _cpu_s(pids)
    for query in queries:
        began = time.perf_counter()
        asked = Asked(asked_names(query.name), parse(query.birth, "birth_date", _TODAY.year), 0, _TODAY)
        best = [one.candidate.record_number for one in rank(asked, await search(asked, query), 10)]
        times.append(time.perf_counter() - began)
        found.setdefault(query.kind, []).append(query.truth in best)
        answers.append(best)
    cpu = _cpu_s(pids) - cpu
    times.sort()
    return Result(cpu / len(queries) * 1e3, [taken * 1e3 for taken in times], found, answers)


async def _in_turn(a: Search, b: Search, queries: Sequence[Wrongly], pids: Sequence[int]) -> tuple[Result, Result]:
    """As `_ask` for each."""
    parts: tuple[list[Result], list[Result]] = ([], [])
    for number, start in enumerate(range(0, len(queries), _BATCH)):
        batch = queries[start : start + _BATCH]
        for which in (0, 1) if number % 2 else (1, 0):
            parts[which].append(await _ask((a, b)[which], batch, pids))
    return _together(parts[0]), _together(parts[1])


def _together(parts: Sequence[Result]) -> Result:
    found: dict[str, list[bool]] = {}
    for part in parts:
        for kind, hits in part.found.items():
            found.setdefault(kind, []).extend(hits)
    asked = [len(part.answers) for part in parts]
    times = sorted(time_ms for part in parts for time_ms in part.times_ms)
    cpu_ms = sum(part.cpu_ms * count for part, count in zip(parts, asked, strict=True)) / sum(asked)
    return Result(cpu_ms, times, found, [answer for part in parts for answer in part.answers])


def _own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _cpu_s(pids: Sequence[int]) -> float:
    return _own_cpu_s() + sum(_process_cpu_s(pid) for pid in pids)


def _process_cpu_s(pid: int) -> float:
    """proc(5): utime and stime are the 14th and 15th field; the second may hold blanks."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def _print_conditions(options: argparse.Namespace, loaded: dict[str, float], ours: Result, trigrams: Result) -> None:
    print(f"{options.persons:,} invented persons in {len(AGENCIES)} agencies, all visible; {options.queries} queries, one at a time,")
    print("PostgreSQL with 128 MB shared buffers, no parallel workers, over TCP on this machine; 60 candidates re-ranked in both designs.")
    print(f"{'mistake':32} {'recall@10':>9} {'pg_trgm':>9}")
    for kind in _kinds(ours):
        theirs = trigrams.found.get(kind, [])
        print(f"{kind:32} {statistics.fmean(ours.found[kind]):9.3f} {statistics.fmean(theirs) if theirs else float('nan'):9.3f}")


def _kinds(result: Result) -> Iterator[str]:
    yield from result.found


if __name__ == "__main__":
    print(run(sys.argv[1:]))
