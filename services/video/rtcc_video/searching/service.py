"""Wiring of the search inside the video service."""

import asyncio
import hashlib
import importlib.util
from datetime import timedelta

from rtcc.video.v1.footage_search_pb2_grpc import add_FootageSearchServiceServicer_to_server
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.settings import InvalidSetting
from rtcc_video.app import Rights
from rtcc_video.recording.footage import Footage
from rtcc_video.recording.store import FootageStore
from rtcc_video.searching.examiner import Examiner, Model
from rtcc_video.searching.model import UnusableDeclaration, parse_declaration
from rtcc_video.searching.rpc import FootageSearchServicer
from rtcc_video.searching.search import FootageSearch
from rtcc_video.searching.store import SearchStore
from rtcc_video.settings import VideoSettings


async def serve_search(ctx: ServiceContext, settings: VideoSettings, footage: Footage, rights: Rights) -> Examiner | None:
    """Adds the calls; the examiner where a model is configured, for whoever starts it. Raises `InvalidSetting`."""
    store = SearchStore(ctx.database)
    model = await asyncio.to_thread(_model, settings)
    labels = model.declaration.kinds if model is not None else ()
    ctx.rpc.add(add_FootageSearchServiceServicer_to_server, FootageSearchServicer(FootageSearch(store, footage, rights), labels))
    if model is None:
        return None
    backlog = timedelta(seconds=settings.detector_backlog_s)
    return Examiner(store, FootageStore(ctx.database), ctx.objects, model, backlog, ctx.clock)


def _model(settings: VideoSettings) -> Model | None:
    """What is configured, checked; the model itself is loaded by its own process. Blocks."""
    file, declaration_file = settings.detector_model_file, settings.detector_declaration_file
    if file is None:
        return None
    if declaration_file is None:
        raise InvalidSetting("RTCC_VIDEO_DETECTOR_DECLARATION_FILE", "a model needs the file that declares its input, output and labels")
    try:
        declaration = parse_declaration(declaration_file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, UnusableDeclaration) as error:
        raise InvalidSetting("RTCC_VIDEO_DETECTOR_DECLARATION_FILE", f"{declaration_file}: {error}") from error
    try:
        with file.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise InvalidSetting("RTCC_VIDEO_DETECTOR_MODEL_FILE", f"{file}: {error.strerror}") from error
    if settings.detector_model_sha256.lower() != found:
        raise InvalidSetting(
            "RTCC_VIDEO_DETECTOR_MODEL_SHA256", f"{file} has the SHA-256 {found}, which must stand there for it to be used"
        )
    if importlib.util.find_spec("onnxruntime") is None:
        raise InvalidSetting("RTCC_VIDEO_DETECTOR_MODEL_FILE", "models need the package onnxruntime: install rtcc-video[detection]")
    return Model(file, found, declaration_file, declaration, settings.detector_memory_limit_mb)
