"""HTML forms as browsers send them: application/x-www-form-urlencoded and multipart/form-data (RFC 7578), read within bounds."""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from rtcc_chassis.errors import InvalidInput

_FIELDS_MOST = 30
_HEAD_BYTES = 4 * 1024
_TEXT_BYTES = 64 * 1024
# RFC 2046 section 5.1.1
_BOUNDARY = re.compile(r"""boundary="?([A-Za-z0-9'()+_,./:=? -]{0,69}[A-Za-z0-9'()+_,./:=?-])"?(?:;|\Z)""", re.IGNORECASE)
_NAME = re.compile(rb'[; ]name="([^"\r\n]{1,100})"', re.IGNORECASE)
_FILE_NAME = re.compile(rb"[; ]filename\*?=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Form:
    """Texts and files by name; of two with one name the first counts."""

    texts: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Line ends as \\n, without space around; "" when it isn't there."""
        return self.texts.get(name, "").replace("\r\n", "\n").replace("\r", "\n").strip()


def parse_form(content_type: str, body: bytes) -> Form:
    """Raises InvalidInput for what is no form, or too large in a part."""
    kind = content_type.split(";", 1)[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        if len(body) > _TEXT_BYTES:
            raise InvalidInput.one("", "the form is too long")
        try:
            pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS_MOST)
        except ValueError as error:
            raise InvalidInput.one("", "the form can't be read") from error
        return Form({name: text for name, text in reversed(pairs)})
    boundary = _BOUNDARY.search(content_type)
    if kind != "multipart/form-data" or boundary is None:
        raise InvalidInput.one("Content-Type", "must be a form's: application/x-www-form-urlencoded or multipart/form-data")
    return _multipart(b"\r\n--" + boundary[1].encode(), body)


def _multipart(delimiter: bytes, body: bytes) -> Form:
    # what stands before the first delimiter is no part
    pieces = (b"\r\n" + body).split(delimiter, _FIELDS_MOST + 2)[1:]
    form, closed = Form(), False
    for piece in pieces:
        if piece.startswith(b"--"):
            closed = True
            break
        _take(form, piece)
    if not closed or len(pieces) > _FIELDS_MOST + 1:
        raise InvalidInput.one("", "the form is cut off or has too many fields")
    return form


def _take(form: Form, piece: bytes) -> None:
    start = piece.find(b"\r\n")
    end = piece.find(b"\r\n\r\n", max(0, start))
    if start < 0 or end < 0 or end - start > _HEAD_BYTES or piece[:start].strip(b" \t"):
        raise InvalidInput.one("", "a part of the form can't be read")
    head, value = piece[start:end], piece[end + 4 :]
    name = _NAME.search(head)
    if name is None:
        raise InvalidInput.one("", "a part of the form has no name")
    key = name[1].decode("utf-8", "replace")
    if _FILE_NAME.search(head):
        form.files.setdefault(key, value)
        return
    if len(value) > _TEXT_BYTES:
        raise InvalidInput.one(key[:40], "is too long")
    try:
        form.texts.setdefault(key, value.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidInput.one(key[:40], "is not UTF-8") from error
