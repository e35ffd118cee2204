"""Grafana dashboards out of a few lines a service: `python -m rtcc_standalone.development.dashboards` writes infra/telemetry/dashboards.

The files are committed and a test compares them with this, so that nobody edits one by hand and loses it.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Grafana's JSON model (documentation, "Dashboard JSON model")
_SCHEMA_VERSION = 39
_WIDTH, _HEIGHT = 8, 7
_SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph: `queries` by legend. `unit` in Grafana's words."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    about: str = ""


def _quantiles(metric: str, by: str = "", where: str = "") -> dict[str, str]:
    group = f"le, {by}" if by else "le"
    legend = f"{{{{{by}}}}} " if by else ""
    return {
        f"{legend}p{name}": f"histogram_quantile({value}, sum by ({group}) (rate({metric}_bucket{where}[5m])))"
        for name, value in (("50", 0.5), ("99", 0.99))
    }


def _calls(area: str) -> list[Panel]:
    where = f'{{method=~"/rtcc.{area}.v1.*"}}'
    failing = f'{{method=~"/rtcc.{area}.v1.*", code!="OK"}}'
    return [
        Panel("Calls", {"{{method}}": f"sum by (method) (rate(rtcc_rpc_seconds_count{where}[5m]))"}, "reqps"),
        Panel("Calls that weren't answered", {"{{code}}": f"sum by (code) (rate(rtcc_rpc_seconds_count{failing}[5m]))"}, "reqps"),
        Panel("Time to answer", _quantiles("rtcc_rpc_seconds", where=where), "s", "Decision, work and durable audit entry included."),
    ]


def _bus(service: str, *, outbox: bool = True) -> list[Panel]:
    """Consumers are named after their service."""
    where = f'{{consumer=~"{service}.*"}}'
    panels = [
        Panel("Messages", {"{{consumer}}": f"sum by (consumer) (rate(rtcc_messages_total{where}[5m]))"}, "ops", "Batches a second."),
        Panel("Messages behind", {"{{consumer}}": f"max by (consumer) (rtcc_consumer_pending_messages{where})"}),
        Panel("Given up on", {"{{consumer}}": f"sum by (consumer) (increase(rtcc_consumer_quarantined_total{where}[15m]))"}),
    ]
    if outbox:
        panels.append(Panel("Outbox", {"waiting": f'max(rtcc_outbox_messages{{service="{service}"}})'}))
    return panels


DASHBOARDS: dict[str, list[Panel]] = {
    "overview": [
        Panel("Calls by outcome", {"{{code}}": "sum by (code) (rate(rtcc_rpc_seconds_count[5m]))"}, "reqps"),
        Panel("Calls being handled", {"{{job}}": "sum by (job) (rtcc_rpc_in_flight)"}),
        Panel(
            "Decisions that refuse", {"{{action}}": 'topk(10, sum by (action) (rate(rtcc_decisions_total{outcome="refused"}[5m])))'}, "ops"
        ),
        Panel("Audit entries not durable (R11)", {"failures": "sum(increase(rtcc_audit_failures_total[5m]))"}),
        Panel("Messages behind", {"{{consumer}}": "topk(10, max by (consumer) (rtcc_consumer_pending_messages))"}),
        Panel("Outboxes", {"{{service}}": "max by (service) (rtcc_outbox_messages)"}),
        Panel("Streams", {"{{stream}}": "max by (stream) (rtcc_stream_bytes / (rtcc_stream_limit_bytes > 0))"}, "percentunit"),
        Panel("Loop lag", {"{{job}}": "max by (job) (rtcc_loop_lag_seconds)"}, "s"),
        Panel("Certificates end in", {"{{use}}": "min by (use) (rtcc_certificate_expires_timestamp_seconds) - time()"}, "s"),
        Panel("Disk of the data folder", {"free": "min(rtcc_disk_free_bytes)", "size": "max(rtcc_disk_size_bytes)"}, "bytes"),
        Panel("Connected to NATS", {"{{job}}": "min by (job) (rtcc_bus_connected)"}),
    ],
    "registry": [
        *_calls("registry"),
        Panel("Records", {"{{kind}}": "max by (kind) (rtcc_registry_records)"}),
        Panel("Outbox", {"waiting": 'max(rtcc_outbox_messages{service="registry"})'}),
    ],
    "intake": [
        Panel("Deliveries", {"{{adapter}} {{outcome}}": "sum by (adapter, outcome) (rate(rtcc_intake_deliveries_total[5m]))"}, "ops"),
        Panel("Deliveries that prove nothing", {"{{reason}}": "sum by (reason) (rate(rtcc_intake_refused_total[5m]))"}, "ops"),
        Panel("Event to receipt", _quantiles("rtcc_intake_event_delay_seconds", "adapter"), "s"),
        Panel(
            "Silent for",
            {"{{agency}} {{adapter}}": "time() - max by (agency, adapter) (rtcc_intake_last_delivery_timestamp_seconds)"},
            "s",
        ),
        Panel("Vehicles of public feeds", {"{{outcome}}": "sum by (outcome) (rate(rtcc_intake_vehicles_total[5m]))"}, "ops"),
        Panel("TAK devices", {"connected": "sum(rtcc_intake_cot_connections)"}),
        Panel("Quarantine", {"{{agency}}": "max by (agency) (rtcc_intake_quarantine_entries)"}),
        *_calls("intake"),
        *_bus("intake", outbox=False),
    ],
    "location": [
        Panel("Fixes", {"{{outcome}}": "sum by (outcome) (rate(rtcc_location_fixes_total[1m]))"}, "ops"),
        *_calls("location"),
        Panel("Positions stream", {"bytes": 'max(rtcc_stream_bytes{stream="POSITIONS"})'}, "bytes", "Drops its oldest when full."),
    ],
    "video": [
        Panel(
            "Viewers",
            {"{{pod}}": "sum by (pod) (rtcc_video_viewers)", "{{pod}} over HTTPS": "sum by (pod) (rtcc_video_hls_viewers)"},
        ),
        Panel("Cameras", {"{{state}}": "sum by (state) (rtcc_video_cameras)"}),
        Panel("Loop lag", {"{{pod}}": "max by (pod) (rtcc_video_loop_lag_seconds)"}, "s", "Delay that viewers see."),
        Panel(
            "Packets",
            {
                "dropped": "sum(rate(rtcc_video_packets_dropped_total[5m]))",
                "resent": "sum(rate(rtcc_video_packets_resent_total[5m]))",
            },
            "pps",
        ),
        Panel("Relays", {"{{pod}} hears": "max by (pod) (rtcc_video_relays)", "draining": "sum(rtcc_video_draining)"}),
        Panel("Relays come and go", {"{{kind}}": "max by (kind) (increase(rtcc_video_relay_changes_total[5m]))"}),
        Panel("Cameras taken, by relay", {"{{pod}}": "max by (pod) (rtcc_video_origin_cameras)"}),
        Panel("Load of relays", {"{{pod}}": "max by (pod) (rtcc_video_load)"}, "percentunit", "Share of a core, or of the viewer limit."),
        Panel(
            "Cascade",
            {
                "taken by {{pod}}": "sum by (pod) (rtcc_video_cascade_taken)",
                "given by {{pod}}": "sum by (pod) (rtcc_video_cascade_branches)",
            },
        ),
        Panel("Cascade lag", _quantiles("rtcc_video_cascade_lag_seconds"), "s", "From relay to relay, by the clocks of both."),
        Panel(
            "Cascade trouble",
            {
                "broken off": "sum(rate(rtcc_video_cascade_broken_total[5m]))",
                "pictures left out": "sum(rate(rtcc_video_cascade_pictures_left_out_total[5m]))",
            },
            "ops",
        ),
        Panel(
            "Motion measured",
            {
                "seconds of recordings": "sum(rate(rtcc_video_motion_seconds_total[5m]))",
                "not written down": "sum(rate(rtcc_video_motion_dropped_seconds_total[5m]))",
            },
            about="About one a second for each camera that is recorded.",
        ),
        Panel("Key pictures compared", {"{{outcome}}": "sum by (outcome) (rate(rtcc_video_compared_pictures_total[5m]))"}, "ops"),
        Panel("Pictures examined", {"{{outcome}}": "sum by (outcome) (rate(rtcc_video_examined_pictures_total[5m]))"}, "ops"),
        Panel(
            "Examination behind",
            {"oldest picture": "max(rtcc_video_examination_lag_seconds)", "model unusable": "max(rtcc_video_examination_trouble)"},
            "s",
            "0 where no model is configured.",
        ),
        *_calls("video"),
    ],
    "alerting": [
        Panel("Alerts raised", {"{{kind}}": "sum by (kind) (rate(rtcc_alerting_raised_total[5m]))"}, "ops"),
        Panel("Joined an open alert", {"{{kind}}": "sum by (kind) (rate(rtcc_alerting_joined_total[5m]))"}, "ops"),
        Panel("Too late to raise one", {"{{kind}}": "sum by (kind) (rate(rtcc_alerting_late_total[5m]))"}, "ops"),
        Panel("Event to alert", _quantiles("rtcc_alerting_delay_seconds"), "s"),
        Panel("Alert to somebody taking it", _quantiles("rtcc_alerting_acknowledged_seconds", "kind"), "s"),
        Panel("Escalated", {"level {{level}}": "sum by (level) (rate(rtcc_alerting_escalated_total[5m]))"}, "ops"),
        Panel(
            "Notifications",
            {"{{channel}} {{outcome}}": "sum by (channel, outcome) (rate(rtcc_alerting_notifications_total[5m]))"},
            "ops",
        ),
        Panel("Alert to message accepted", _quantiles("rtcc_alerting_notification_seconds"), "s"),
        Panel("Wanted plates", {"{{pod}}": "max by (pod) (rtcc_alerting_hot_list_entries)"}),
        Panel("Stale hot lists (R24)", {"{{agency}}": "max by (agency) (rtcc_alerting_stale_hot_lists)"}),
        *_calls("alerting"),
        *_bus("alerting"),
    ],
    "exchange": [
        Panel("Copies for neighbours", {"{{outcome}}": "sum by (outcome) (rate(rtcc_exchange_copies_total[5m]))"}, "ops"),
        *_calls("exchange"),
        *_bus("exchange"),
    ],
    "ledger": [
        Panel("Entries on their way (R11)", {"waiting": "max(rtcc_ledger_waiting_entries)"}),
        Panel("Entries not durable (R11)", {"{{job}}": "sum by (job) (increase(rtcc_audit_failures_total[5m]))"}),
        Panel("Weeks that nobody looked at (R13)", {"{{agency}}": "max by (agency) (rtcc_ledger_overdue_reviews)"}),
        *_calls("ledger"),
        *_bus("ledger", outbox=False),
    ],
    "gateway": [
        Panel("Requests", {"{{status}}": "sum by (status) (rate(rtcc_gateway_http_seconds_count[5m]))"}, "reqps"),
        Panel("Time to answer", _quantiles("rtcc_gateway_http_seconds"), "s"),
        Panel("Live sockets", {"{{pod}}": "sum by (pod) (rtcc_gateway_live_sockets)"}),
        Panel("Sent to consoles", {"{{feed}}": "sum by (feed) (rate(rtcc_gateway_live_delivered_total[5m]))"}, "ops"),
        Panel("Sessions", {"{{agency}}": "max by (agency) (rtcc_gateway_sessions)"}),
        Panel("Sign-ins", {"{{how}} {{outcome}}": "sum by (how, outcome) (rate(rtcc_gateway_sign_ins_total[5m]))"}, "ops"),
        *_calls("gateway"),
    ],
    "identity": [*_calls("identity"), Panel("Outbox", {"waiting": 'max(rtcc_outbox_messages{service="identity"})'})],
    "airspace": [
        Panel("Sightings", {"{{adapter}} {{outcome}}": "sum by (adapter, outcome) (rate(rtcc_airspace_sightings_total[5m]))"}, "ops"),
        Panel("In the air", {"tracks": "max(rtcc_airspace_tracks)", "drones in zones": "max(rtcc_airspace_visits)"}),
        Panel("Drone alarms", {"alarms": "sum(increase(rtcc_airspace_alarms_total[1h]))"}),
        Panel("Receivers that prove nothing", {"{{reason}}": "sum by (reason) (rate(rtcc_airspace_refused_total[5m]))"}, "ops"),
        *_calls("airspace"),
        *_bus("airspace"),
    ],
    "incidents": [
        Panel("Incidents opened", {"{{origin}}": "sum by (origin) (increase(rtcc_incidents_opened_total[15m]))"}),
        Panel("Alerts joined", {"{{how}}": "sum by (how) (increase(rtcc_incidents_alerts_joined_total[15m]))"}),
        Panel("Tips", {"{{channel}} {{outcome}}": "sum by (channel, outcome) (increase(rtcc_incidents_tips_total[15m]))"}),
        *_calls("incidents"),
        *_bus("incidents"),
    ],
    "operator": [
        Panel("Resources", {"{{kind}} ready {{ready}}": "max by (kind, ready) (rtcc_operator_resources)"}),
        Panel("Looks", {"{{kind}} {{outcome}}": "sum by (kind, outcome) (rate(rtcc_operator_reconciles_total[5m]))"}, "ops"),
        Panel("Time of a look", _quantiles("rtcc_operator_reconcile_seconds", "kind"), "s"),
        Panel("Waiting", {"resources": "sum(rtcc_operator_queue_depth)"}),
        Panel("Watches begun", {"{{kind}} {{reason}}": "sum by (kind, reason) (increase(rtcc_operator_watches_total[15m]))"}),
        Panel("Leads", {"{{pod}}": "max by (pod) (rtcc_operator_leader)"}),
    ],
}


def dashboard(name: str, panels: list[Panel]) -> dict[str, Any]:
    """Grafana's JSON."""
    return {
        "uid": f"rtcc-{name}",
        "title": f"OpenRTCC: {name}",
        "tags": ["openrtcc"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": {"x": number % 3 * _WIDTH, "y": number // 3 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": {"lineWidth": 1, "fillOpacity": 10}}, "overrides": []},
        "options": {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def written() -> dict[str, str]:
    """File name -> its text."""
    return {f"{name}.json": json.dumps(dashboard(name, panels), indent=1) + "\n" for name, panels in DASHBOARDS.items()}


def main(root: Path) -> int:
    folder = root / "infra" / "telemetry" / "dashboards"
    for name, text in written().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
