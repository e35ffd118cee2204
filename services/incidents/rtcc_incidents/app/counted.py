"""What is counted: see docs/operations/telemetry.md."""

from prometheus_client import Counter

OPENED = Counter("rtcc_incidents_opened_total", "Incidents opened.", ["origin"])
JOINED = Counter("rtcc_incidents_alerts_joined_total", "Alerts attached to incidents.", ["how"])
TIPS = Counter("rtcc_incidents_tips_total", "Tips by what became of them at the door.", ["channel", "outcome"])


def begin_counting() -> None:
    """Each series at 0: one that isn't there yet can't be told from one that stopped."""
    for origin in ("manual", "call", "tip"):
        OPENED.labels(origin)
    for how in ("automatic", "by_hand"):
        JOINED.labels(how)
    for channel, outcome in (("form", "taken"), ("webhook", "taken"), ("form", "too_many")):
        TIPS.labels(channel, outcome)
