"""The public tip form as HTML: no script, no cookie, no picture, one inline style that the policy names by its hash."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:0 auto;padding:1rem;color:#14202c;background:#fff}"
    "h1{font-size:1.5rem}label{display:block;margin:1rem 0 .25rem;font-weight:600}small{font-weight:400;color:#44525f}"
    "input,select,textarea{width:100%;box-sizing:border-box;font:inherit;padding:.5rem;border:1px solid #5a6a78;border-radius:4px}"
    "textarea{min-height:9rem}button{margin-top:1.5rem;font:inherit;font-weight:600;padding:.75rem 1.5rem;border:0;border-radius:4px;"
    "background:#0b5cad;color:#fff;min-height:44px}.urgent{border:2px solid #b3261e;padding:.75rem;font-weight:600}"
    ".wrong{border-left:4px solid #b3261e;padding:.25rem .75rem}.code{font:600 2rem/1.4 ui-monospace,monospace;letter-spacing:.1em}"
    ".trap{position:absolute;left:-10000px}"
    "@media(prefers-color-scheme:dark){body{color:#e8eef5;background:#0b0f14}small{color:#b4c1cf}"
    "input,select,textarea{background:#11171f;color:inherit}}"
)
POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
CATEGORIES = {
    "": "I'm not sure",
    "crime": "A crime",
    "suspicious": "Something suspicious",
    "missing_person": "A missing person",
    "traffic": "Traffic",
    "drugs": "Drugs",
    "weapons": "Weapons",
    "other": "Something else",
}
# a field that people don't see and simple robots fill in
TRAP = "website"


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="robots" content="noindex"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
        f"<body><main>{body}</main></body></html>"
    )


def form_page(
    agency_name: str,
    notice: str,
    emergency_line: str,
    form_key: str,
    given: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
) -> str:
    """`given`: what was filled in before; `wrong`: what is wrong with it, by field ("": with the whole)."""
    given, wrong = given or {}, wrong or {}
    title = f"Tell {agency_name}"

    def value(name: str) -> str:
        return escape(given.get(name, ""), quote=True)

    options = "".join(
        f'<option value="{key}"{" selected" if given.get("category", "") == key else ""}>{escape(text)}</option>'
        for key, text in CATEGORIES.items()
    )
    wrongs = "".join(f'<p class="wrong" role="alert">{escape(f"{name}: {text}" if name else text)}</p>' for name, text in wrong.items())
    urgent = f'<p class="urgent">{escape(emergency_line)}</p>' if emergency_line else ""
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in notice.splitlines() if line.strip())
    return _page(
        title,
        f"<h1>{escape(title)}</h1>{urgent}{paragraphs}"
        "<p>You don't have to say who you are. Your network address isn't kept.</p>"
        f'{wrongs}<form method="post" enctype="multipart/form-data">'
        f'<input type="hidden" name="form" value="{escape(form_key, quote=True)}">'
        f'<label for="category">What is it about?</label><select id="category" name="category">{options}</select>'
        '<label for="text">What did you see or hear? <small>At least ten characters.</small></label>'
        f'<textarea id="text" name="text" required minlength="10" maxlength="4000">{value("text")}</textarea>'
        f'<label for="address">Where? <small>Address or place.</small></label>'
        f'<input id="address" name="address" maxlength="500" autocomplete="off" value="{value("address")}">'
        '<label for="when">When? <small>Empty: just now.</small></label>'
        f'<input id="when" name="when" type="datetime-local" value="{value("when")}">'
        '<label for="photo">Photo <small>JPEG, PNG or WebP, at most 6 MB. Where it was taken is removed from it.</small></label>'
        '<input id="photo" name="photo" type="file" accept="image/jpeg,image/png,image/webp">'
        '<label for="contact">How can we reach you? <small>Only if you want to be reached.</small></label>'
        f'<input id="contact" name="contact" maxlength="200" autocomplete="off" value="{value("contact")}">'
        f'<div class="trap" aria-hidden="true"><label for="{TRAP}">Leave this empty</label>'
        f'<input id="{TRAP}" name="{TRAP}" tabindex="-1" autocomplete="off"></div>'
        "<button>Send</button></form>",
    )


def thanks_page(agency_name: str, reference_code: str) -> str:
    """With the code under which the tip can be spoken of."""
    return _page(
        "Thank you",
        f"<h1>Thank you</h1><p>{escape(agency_name)} has your tip. Its code:</p>"
        f'<p class="code">{escape(reference_code)}</p>'
        "<p>Note it: with it you can add something later, and nobody needs your name for that.</p>",
    )


def closed_page() -> str:
    """For an agency that takes no tips here, and for none."""
    return _page("Not found", "<h1>There is no tip line here</h1><p>Check the address.</p>")


def busy_page(text: str) -> str:
    """Too many, or not available."""
    return _page("Please try later", f'<h1>Please try later</h1><p class="wrong">{escape(text)}</p>')
