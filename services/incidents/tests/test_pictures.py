"""Pictures from outside: only what a decoder understands within bounds gets in, and nothing hidden stays in it."""

import io
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rtcc_chassis.errors import InvalidInput
from rtcc_incidents.domain.pictures import drawing, photo

LIMIT = 1024 * 1024
SECRET = b"hidden words"


def made(kind: str = "JPEG", size: tuple[int, int] = (64, 48), *, exif: bool = False, mode: str = "RGB") -> bytes:
    image = Image.new(mode, size, 128 if mode in ("L", "P") else (200, 30, 30, 128)[: len(mode)])
    buffer = io.BytesIO()
    options: dict[str, object] = {}
    if exif:
        data = Image.Exif()
        data[0x010E] = SECRET.decode()
        data[0x0112] = 6
        data.get_ifd(0x8769)[0x9003] = "2026:11:20 08:30:00"
        data.get_ifd(0x8825).update({1: "N", 2: (60.0, 10.0, 30.0), 3: "E", 4: (24.0, 57.0, 0.0)})
        options["exif"] = data
    image.save(buffer, kind, **options)
    return buffer.getvalue() + (SECRET if exif else b"")


def test_a_photo_loses_its_metadata_and_stands_upright() -> None:
    picture = photo(made(exif=True), "image", LIMIT, ZoneInfo("Europe/Helsinki"))
    assert SECRET not in picture.data and b"Exif" not in picture.data
    assert (picture.width_px, picture.height_px, picture.content_type) == (48, 64, "image/jpeg")
    assert not Image.open(io.BytesIO(picture.data)).getexif()
    assert picture.taken_at is not None and picture.taken_at.astimezone(UTC) == datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
    assert picture.coordinate is not None
    assert (round(picture.coordinate.latitude_deg, 4), round(picture.coordinate.longitude_deg, 4)) == (60.175, 24.95)


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("PNG", "P"), ("PNG", "L"), ("WEBP", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK")])
def test_every_kind_becomes_a_jpeg(kind: str, mode: str) -> None:
    assert photo(made(kind, mode=mode), "image", LIMIT, UTC).data.startswith(b"\xff\xd8\xff")


def test_a_large_photo_is_made_smaller_and_a_plan_keeps_its_pixels() -> None:
    large = made("JPEG", (5_000, 1_000))
    assert photo(large, "image", LIMIT, UTC).width_px == 4_096
    assert (drawing(large, "image", LIMIT).width_px, drawing(made("PNG"), "image", LIMIT).content_type) == (5_000, "image/png")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a" + b"\0" * 40, b"%PDF-1.7", made()[:300],
        b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"\xff" * 90,
    ],
    ids=["nothing", "SVG", "GIF", "PDF", "cut off", "PNG that is none", "noise"],
)  # fmt: skip
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    for read in (lambda: photo(data, "image", LIMIT, UTC), lambda: drawing(data, "image", LIMIT)):
        with pytest.raises(InvalidInput) as refused:
            read()
        assert refused.value.violations[0].field == "image"


@pytest.mark.parametrize("side", [8_000, 15_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    buffer = io.BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG")
    assert len(buffer.getvalue()) < LIMIT
    with pytest.raises(InvalidInput, match=r"megapixels|bomb"):
        photo(buffer.getvalue(), "image", LIMIT, UTC)


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="KiB"):
        photo(made(), "image", 100, UTC)


@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=20))
@settings(max_examples=60)
def test_damaged_pictures_are_read_or_refused_and_nothing_else(kind: str, damage: list[tuple[int, int]]) -> None:
    data = bytearray(made(kind, exif=kind == "JPEG"))
    for place, value in damage:
        data[place % len(data)] = value
    for read in (lambda: photo(bytes(data), "image", LIMIT, UTC), lambda: drawing(bytes(data), "image", LIMIT)):
        try:
            picture = read()
        except InvalidInput:
            continue
        assert picture.width_px * picture.height_px > 0
