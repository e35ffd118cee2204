/** What each kind of alert tells beyond its title: drone, alarm, warning, sensor, tip, officer in need, camera down. */
import { dayAndTime, clockTime } from "../contract/time";
import { PilotPlace } from "../generated/rtcc/airspace/v1/airspace_pb";
import { AlarmState, MeasurementLevel, type Alarm, type DroneAlarm, type Marker, type Measurement, type Tip, type Warning } from "../generated/rtcc/event/v1/event_pb";
import { identityFacts, metres, placeMeaning } from "../air/facts";
import { showTrack } from "../air/show";
import { useLive } from "../live/store";
import { useMap } from "../map/store";
import { useRight } from "../session/store";
import { go } from "../shell/router";
import { Button } from "../ui/parts";
import type { QueueItem } from "./queue";

export function KindFacts({ item }: { item: QueueItem }) {
  const body = item.alert.event?.body;
  switch (body?.case) {
    case "droneAlarm":
      return <Drone alarm={body.value} />;
    case "alarm":
      return <AlarmFacts alarm={body.value} />;
    case "warning":
      return <WarningFacts warning={body.value} />;
    case "measurement":
      return <MeasurementFacts measurement={body.value} />;
    case "tip":
      return <TipFacts tip={body.value} />;
    case "marker":
      return <MarkerFacts marker={body.value} />;
    default:
      return null;
  }
}

function Facts({ facts }: { facts: readonly (readonly [string, React.ReactNode])[] }) {
  return (
    <dl className="facts">
      {facts
        .filter(([, value]) => value !== "" && value !== undefined && value !== false)
        .map(([name, value]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

function Drone({ alarm }: { alarm: DroneAlarm }) {
  const number = useLive((state) => {
    for (const track of state.tracks.values()) if (track.trackId === alarm.trackId) return track.number;
    return undefined;
  });
  const pilot = alarm.pilot;
  return (
    <div className="stack tight" data-testid="drone-alarm" data-track-id={alarm.trackId}>
      <Facts facts={[["Zone", alarm.zoneName], ...identityFacts(alarm.identity), ["Height then", metres(alarm.heightM)]]} />
      <p className="note" data-tone={pilot ? "act" : undefined} data-testid="alarm-pilot" data-place={PilotPlace[alarm.pilotPlace].toLowerCase()}>
        {pilot ? placeMeaning(alarm.pilotPlace) : "Neither pilot nor take-off point was broadcast."}
        {pilot && (
          <span className="row">
            <span className="mono">
              {pilot.latitudeDeg.toFixed(5)}, {pilot.longitudeDeg.toFixed(5)}
            </span>
            <Button size="small" onClick={() => useMap.getState().flyTo(pilot.longitudeDeg, pilot.latitudeDeg)}>
              Show this place
            </Button>
          </span>
        )}
      </p>
      {number !== undefined && (
        <div>
          <Button size="small" onClick={() => showTrack(number)}>
            Show the drone now
          </Button>
        </div>
      )}
    </div>
  );
}

const ALARM_STATES: Record<AlarmState, string> = {
  [AlarmState.UNSPECIFIED]: "",
  [AlarmState.ACTIVE]: "active",
  [AlarmState.RESTORED]: "restored",
  [AlarmState.TEST]: "test, nobody must act",
};

function AlarmFacts({ alarm }: { alarm: Alarm }) {
  return <Facts facts={[["Type", alarm.alarmType], ["State", ALARM_STATES[alarm.state]], ["Site", alarm.siteName], ["Part", alarm.zone], ["Address", alarm.address], ["Panel", alarm.panelId], ["Note", alarm.note]]} />;
}

function WarningFacts({ warning }: { warning: Warning }) {
  return (
    <div className="stack tight">
      {warning.status !== "Actual" && warning.status !== "" && <p className="note" data-tone="act">{warning.status}: nobody must act on it.</p>}
      {warning.headline && <p><strong>{warning.headline}</strong></p>}
      {warning.description && <p className="narrative">{warning.description}</p>}
      {warning.instruction && <p className="note" data-tone="act">{warning.instruction}</p>}
      <Facts
        facts={[
          ["Urgency", [warning.urgency, warning.severity, warning.certainty].filter(Boolean).join(", ")],
          ["From", warning.onsetAt ? dayAndTime(warning.onsetAt) : ""],
          ["Expires", warning.expiresAt ? dayAndTime(warning.expiresAt) : ""],
          ["Area", warning.areas.map((area) => area.description).filter(Boolean).join("; ")],
          ["Sender", warning.senderName || warning.sender],
        ]}
      />
    </div>
  );
}

const LEVELS: Record<MeasurementLevel, string> = {
  [MeasurementLevel.UNSPECIFIED]: "",
  [MeasurementLevel.NORMAL]: "normal",
  [MeasurementLevel.WARNING]: "warning",
  [MeasurementLevel.CRITICAL]: "critical",
};

function MeasurementFacts({ measurement }: { measurement: Measurement }) {
  return <Facts facts={[["Sensor", measurement.sensorName || measurement.sensorId], [measurement.quantity.replaceAll("_", " ") || "Value", <strong key="value" className="mono">{`${measurement.value} ${measurement.unit}`}</strong>], ["It says", LEVELS[measurement.level]]]} />;
}

function TipFacts({ tip }: { tip: Tip }) {
  const may = useRight("tip.list");
  return (
    <div className="stack tight">
      <p className="narrative">{tip.text}</p>
      <Facts facts={[["Reference", <span key="code" className="mono">{tip.referenceCode}</span>], ["Category", tip.category.replaceAll("_", " ")], ["Address", tip.address], ["Came by", tip.channel]]} />
      {may && (
        <div>
          <Button size="small" onClick={() => go("/incident/tips")}>
            To the tips
          </Button>
        </div>
      )}
    </div>
  );
}

function MarkerFacts({ marker }: { marker: Marker }) {
  return <Facts facts={[["Emergency", marker.emergency], ["Call sign", marker.callSign], ["Team", [marker.team, marker.role].filter(Boolean).join(", ")], ["Remarks", marker.remarks], ["Valid until", marker.staleAt ? clockTime(marker.staleAt) : ""]]} />;
}
