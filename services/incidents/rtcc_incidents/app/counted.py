"""What is counted: see docs/operations/telemetry.md."""

from prometheus_client import Counter

OPENED = Counter("rtcc_incidents_opened_total", "Incidents opened.", ["origin"])
JOINED = Counter("rtcc_incidents_alerts_joined_total", "Alerts attached to incidents.", ["how"])
TIPS = Counter("rtcc_incidents_tips_total", "Tips by what became of them at the door.", ["channel", "outcome"])
