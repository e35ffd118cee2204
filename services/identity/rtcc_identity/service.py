"""Wiring of identity."""

from pathlib import Path

from rtcc.identity.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from rtcc.registry.v1.registry_pb2 import Agreement
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.settings import read
from rtcc_identity.app.arrival import ArrivalApp
from rtcc_identity.app.imports import ImportApp, ImportWorker
from rtcc_identity.app.intelligence import IntelligenceApp
from rtcc_identity.app.records import RecordApp
from rtcc_identity.app.search import SearchApp
from rtcc_identity.app.sharing import Sharing
from rtcc_identity.events import index_anew, purge_intelligence
from rtcc_identity.import_store import ImportStore
from rtcc_identity.intelligence_store import PostgresIntelligence
from rtcc_identity.rpc import IdentityServicer
from rtcc_identity.settings import IdentitySettings
from rtcc_identity.store import RecordStore

_MIGRATIONS = Path(__file__).parent / "migrations"


async def serve(ctx: ServiceContext) -> None:
    """Runs until the process stops."""
    settings = read(IdentitySettings, "identity")
    await ctx.database.migrate(_MIGRATIONS)
    records, imports, intelligence = RecordStore(ctx.database), ImportStore(ctx.database), PostgresIntelligence(ctx.database)
    agreements = ctx.directory.mirror("agreement", Agreement)
    sharing = Sharing(ctx.access, ctx.clock, agreements.values)
    import_app = ImportApp(imports, ctx.objects, ctx.clock, settings.import_queue)
    ctx.rpc.add(
        add_IdentityServiceServicer_to_server,
        IdentityServicer(
            SearchApp(records, sharing, ctx.clock),
            RecordApp(records, ctx.objects, sharing, ctx.access, ctx.clock),
            ArrivalApp(records, sharing, ctx.clock),
            import_app,
            IntelligenceApp(intelligence, records, ctx.clock),
        ),
    )
    # who shares with whom must be known before the first search
    await agreements.ready()
    worker = ImportWorker(imports, ctx.objects, ctx.clock, rows=settings.import_rows)
    ctx.lifecycle.spawn(
        worker.run(import_app.wake, check_s=settings.import_check_s, abandoned_s=settings.import_abandoned_s), "identity imports"
    )
    ctx.lifecycle.spawn(index_anew(records, settings.import_rows), "identity index")
    ctx.lifecycle.spawn(purge_intelligence(intelligence, ctx.access, ctx.clock), "identity intelligence")
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()
