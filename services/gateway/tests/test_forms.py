"""Forms as browsers send them, and anything else that may come in their place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_chassis.errors import InvalidInput
from rtcc_gateway.http.forms import parse_form

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters='"'), min_size=1, max_size=20)
TEXTS = st.text(max_size=200).filter(lambda text: BOUNDARY not in text)
FILES = st.binary(max_size=400).filter(lambda data: BOUNDARY.encode() not in data)


def multipart(texts: dict[str, str], files: dict[str, bytes], boundary: str = BOUNDARY) -> bytes:
    """RFC 7578, as a browser writes it."""
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + text.encode() for name, text in texts.items()]
    parts += [
        f'Content-Disposition: form-data; name="{name}"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'.encode() + data
        for name, data in files.items()
    ]
    return b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()


@given(st.dictionaries(NAMES, TEXTS, max_size=6), st.dictionaries(NAMES, FILES, max_size=3))
def test_what_a_browser_wrote_is_read_back(texts: dict[str, str], files: dict[str, bytes]) -> None:
    form = parse_form(f"multipart/form-data; boundary={BOUNDARY}", multipart(texts, files))
    assert (form.texts, form.files) == (texts, files)


@given(st.binary(max_size=600), st.sampled_from(["application/x-www-form-urlencoded", f"multipart/form-data; boundary={BOUNDARY}"]))
def test_any_bytes_are_read_or_refused(body: bytes, content_type: str) -> None:
    try:
        form = parse_form(content_type, body)
    except InvalidInput:
        return
    assert all(isinstance(text, str) for text in form.texts.values())


@given(st.dictionaries(NAMES, TEXTS, min_size=1, max_size=4), st.data())
def test_a_form_cut_off_anywhere_is_refused_or_whole(texts: dict[str, str], data: st.DataObject) -> None:
    body = multipart(texts, {})
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    try:
        form = parse_form(f"multipart/form-data; boundary={BOUNDARY}", cut)
    except InvalidInput:
        return
    assert form.texts == texts


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"text=x"),
        ("multipart/form-data", multipart({"a": "b"}, {})),
        (f"multipart/form-data; boundary={'x' * 71}", b""),
        (f"multipart/form-data; boundary={BOUNDARY}", multipart({f"f{n}": "x" for n in range(40)}, {})),
        (f"multipart/form-data; boundary={BOUNDARY}", multipart({"text": "x" * 70_000}, {})),
        ("application/x-www-form-urlencoded", b"&".join(b"a=b" for _ in range(40))),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 70_000),
    ],
    ids=["no form", "no boundary", "long boundary", "many parts", "long text", "many fields", "long"],
)
def test_what_is_out_of_bounds_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_form(content_type, body)
