/**
 * The one WebSocket of a workstation: decodes frames, keeps the present state so that a page that opens later gets it at once,
 * and comes back with its cursor after a break. Runs in a SharedWorker (or a Worker where there is none); knows no page.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Alert } from "../generated/rtcc/alerting/v1/alerting_pb";
import type { Event } from "../generated/rtcc/event/v1/event_pb";
import type { SharedAlert, SharedCamera } from "../generated/rtcc/exchange/v1/exchange_pb";
import type { Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import { ClientFrameSchema, ServerFrameSchema, type ServerFrame } from "../generated/rtcc/live/v1/live_pb";
import type { Agency, Agreement, Camera } from "../generated/rtcc/registry/v1/registry_pb";
import type { CameraHealth } from "../generated/rtcc/video/v1/video_pb";
import { unpackPositions, unpackTracks } from "./columns";
import type { Box, FromWorker, LinkState, TrackLabel, UnitLabel } from "./messages";

const PING_EVERY_MS = 5_000;
const SILENCE_MEANS_DOWN_MS = 15_000;
/** Calls kept for pages that open later. */
const CALLS_KEPT = 200;

export class LiveConnection {
  private socket: WebSocket | undefined;
  private cursor = "";
  private attempts = 0;
  private reconnectTimer: ReturnType<typeof setTimeout> | undefined;
  private pingTimer: ReturnType<typeof setInterval> | undefined;
  private lastFrameMs = 0;
  private roundTripMs: number | undefined;
  private link: { state: LinkState; sinceMs: number; reason: string } = { state: "connecting", sinceMs: Date.now(), reason: "" };

  private agencies: Agency[] = [];
  private readonly alerts = new Map<string, Alert>();
  private readonly shared = new Map<string, SharedAlert>();
  private readonly cameras = new Map<string, Camera>();
  private readonly sharedCameras = new Map<string, SharedCamera>();
  private readonly states = new Map<string, CameraHealth>();
  private readonly calls = new Map<string, Event>();
  private readonly agreements = new Map<string, Agreement>();
  private readonly units = new Map<number, UnitLabel>();
  private readonly tracks = new Map<number, TrackLabel>();
  private readonly incidents = new Map<string, Incident>();

  constructor(
    private readonly address: string,
    private readonly tell: (message: FromWorker) => void,
    private readonly viewport: () => Box | undefined,
  ) {}

  open(): void {
    if (this.socket || this.reconnectTimer !== undefined) return;
    this.setLink(this.attempts ? "down" : "connecting", this.link.reason);
    const socket = new WebSocket(this.address, "rtcc.live.v1");
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.lastFrameMs = Date.now();
      this.transmit({ body: { case: "hello", value: { cursor: this.cursor, viewport: { box: boxMessage(this.viewport()) } } } });
      this.pingTimer = setInterval(() => this.watch(), PING_EVERY_MS);
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer>) => this.take(fromBinary(ServerFrameSchema, new Uint8Array(event.data)));
    socket.onclose = (event) => this.closed(event.code);
  }

  /** Ends the socket and forgets everything: no page is left, or another person sits here. */
  shut(): void {
    clearTimeout(this.reconnectTimer);
    this.reconnectTimer = undefined;
    if (this.socket) this.socket.onclose = null;
    this.socket?.close(1000);
    this.release();
    this.cursor = "";
    this.attempts = 0;
    this.forget();
  }

  /** A sign of life from the person: try now instead of waiting. */
  wake(): void {
    if (this.socket) return;
    clearTimeout(this.reconnectTimer);
    this.reconnectTimer = undefined;
    this.open();
  }

  viewportChanged(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.transmit({ body: { case: "viewport", value: { box: boxMessage(this.viewport()) } } });
  }

  /** Everything a page needs that opens now. Positions follow by the new viewport's snapshot. */
  present(): FromWorker[] {
    return [
      { type: "reset", agencies: this.agencies },
      { type: "units", units: [...this.units.values()] },
      { type: "track_names", names: [...this.tracks.values()], snapshot: true, gone: [] },
      { type: "incidents", incidents: [...this.incidents.values()], snapshot: true },
      { type: "cameras", cameras: [...this.cameras.values()], shared: [...this.sharedCameras.values()], snapshot: true, removed: [] },
      { type: "camera_states", states: [...this.states.values()] },
      { type: "calls", calls: [...this.calls.values()] },
      { type: "agreements", agreements: [...this.agreements.values()] },
      { type: "alerts", alerts: [...this.alerts.values()], shared: [...this.shared.values()], receivedAtMs: Date.now() },
      this.linkMessage(),
    ];
  }

  private take(frame: ServerFrame): void {
    this.lastFrameMs = Date.now();
    if (frame.cursor) this.cursor = frame.cursor;
    const body = frame.body;
    switch (body.case) {
      case "welcome":
        this.attempts = 0;
        this.agencies = body.value.agencies;
        this.units.clear();
        this.tracks.clear();
        if (!body.value.resumed) {
          this.forget();
          this.agencies = body.value.agencies;
          this.tell({ type: "reset", agencies: this.agencies });
        }
        this.setLink("live", "");
        break;
      case "alerts":
        this.keepAlerts(body.value.alerts, []);
        break;
      case "sharedAlerts":
        this.keepAlerts([], body.value.alerts);
        break;
      case "cameras":
        this.keepCameras(body.value.cameras, body.value.sharedCameras, body.value.snapshot, body.value.removedCameraIds);
        break;
      case "cameraStates":
        for (const state of body.value.cameras) this.states.set(state.cameraId, state);
        this.tell({ type: "camera_states", states: body.value.cameras });
        break;
      case "calls":
        for (const call of body.value.calls) this.calls.set(call.eventId, call);
        for (const id of [...this.calls.keys()].slice(0, Math.max(0, this.calls.size - CALLS_KEPT))) this.calls.delete(id);
        this.tell({ type: "calls", calls: body.value.calls });
        break;
      case "agreements":
        for (const agreement of body.value.agreements) this.agreements.set(agreement.agreementId, agreement);
        this.tell({ type: "agreements", agreements: body.value.agreements });
        break;
      case "positions": {
        const { units } = body.value;
        for (const unit of units) this.units.set(unit.number, unit);
        if (units.length) this.tell({ type: "units", units: units.map(({ number, unitId, callSign, kind, agencyId }) => ({ number, unitId, callSign, kind, agencyId })) });
        this.tell({ type: "positions", columns: unpackPositions(body.value, frame.sentAt ? timestampMs(frame.sentAt) : Date.now()) });
        break;
      }
      case "tracks": {
        const { names, goneNumbers: gone } = body.value;
        const labels = names.map(({ number, trackId, agencyId, kind, identity, pilotPlace, zoneIds, firstObservedAt }) => ({ number, trackId, agencyId, kind, identity, pilotPlace, zoneIds, firstObservedAtMs: firstObservedAt ? timestampMs(firstObservedAt) : 0 }));
        for (const label of labels) this.tracks.set(label.number, label);
        for (const number of gone) this.tracks.delete(number);
        if (labels.length || gone.length) this.tell({ type: "track_names", names: labels, snapshot: false, gone });
        this.tell({ type: "tracks", columns: unpackTracks(body.value, frame.sentAt ? timestampMs(frame.sentAt) : Date.now()) });
        break;
      }
      case "incidents":
        if (body.value.snapshot) this.incidents.clear();
        for (const incident of body.value.incidents) if ((this.incidents.get(incident.incidentId)?.revision ?? 0) <= incident.revision) this.incidents.set(incident.incidentId, incident);
        this.tell({ type: "incidents", incidents: body.value.incidents, snapshot: body.value.snapshot });
        break;
      case "revoked": {
        const { agreementId, cameraIds, alertIds, reason } = body.value;
        for (const id of cameraIds) this.sharedCameras.delete(id);
        for (const id of alertIds) this.shared.delete(id);
        for (const [id, alert] of this.shared) if (alert.agreementId === agreementId) this.shared.delete(id);
        for (const [id, camera] of this.sharedCameras) if (camera.agreementId === agreementId) this.sharedCameras.delete(id);
        this.tell({ type: "revoked", agreementId, cameraIds, alertIds, reason });
        break;
      }
      case "relayEnding":
        this.tell({ type: "relay_ending", relayId: body.value.relayId, lost: body.value.lost });
        break;
      case "sessionEnding":
        this.tell({ type: "session_ending", reason: body.value.reason });
        break;
      case "pong":
        this.roundTripMs = Date.now() - Number(body.value.clientTimeUs) / 1000;
        this.tell(this.linkMessage());
        break;
    }
  }

  private keepAlerts(alerts: readonly Alert[], shared: readonly SharedAlert[]): void {
    for (const alert of alerts) {
      const held = this.alerts.get(alert.alertId);
      if (!held || held.revision < alert.revision) this.alerts.set(alert.alertId, alert);
    }
    for (const one of shared) if (one.alert) this.shared.set(one.alert.alertId, one);
    this.tell({ type: "alerts", alerts: [...alerts], shared: [...shared], receivedAtMs: Date.now() });
  }

  private keepCameras(cameras: readonly Camera[], shared: readonly SharedCamera[], snapshot: boolean, removed: readonly string[]): void {
    if (snapshot) {
      this.cameras.clear();
      this.sharedCameras.clear();
    }
    for (const camera of cameras) this.cameras.set(camera.cameraId, camera);
    for (const one of shared) if (one.camera) this.sharedCameras.set(one.camera.cameraId, one);
    for (const id of removed) {
      this.cameras.delete(id);
      this.sharedCameras.delete(id);
    }
    this.tell({ type: "cameras", cameras: [...cameras], shared: [...shared], snapshot, removed: [...removed] });
  }

  private forget(): void {
    for (const held of [this.alerts, this.shared, this.cameras, this.sharedCameras, this.states, this.calls, this.agreements, this.units, this.tracks, this.incidents]) held.clear();
    this.agencies = [];
  }

  private watch(): void {
    if (Date.now() - this.lastFrameMs > SILENCE_MEANS_DOWN_MS) this.socket?.close(4000);
    else this.transmit({ body: { case: "ping", value: { clientTimeUs: BigInt(Date.now()) * 1000n } } });
  }

  private closed(code: number): void {
    this.release();
    const final: Record<number, string> = {
      4401: "signed out",
      4403: "your roles don't include the live picture",
      4408: "paused: nobody was active for an hour",
      4429: "too many windows are open in this session",
    };
    if (final[code]) {
      this.setLink("refused", final[code]);
      if (code === 4401) this.tell({ type: "session_ending", reason: "" });
      return;
    }
    this.setLink("down", code === 4409 ? "this computer could not keep up" : "the connection broke");
    const pause = code === 4409 ? 0 : Math.min(5_000, 200 * 2 ** this.attempts) * (0.5 + Math.random() / 2);
    this.attempts += 1;
    this.reconnectTimer = setTimeout(() => {
      this.reconnectTimer = undefined;
      this.open();
    }, pause);
  }

  private release(): void {
    clearInterval(this.pingTimer);
    this.socket = undefined;
    this.roundTripMs = undefined;
  }

  private transmit(frame: MessageInitShape<typeof ClientFrameSchema>): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(toBinary(ClientFrameSchema, create(ClientFrameSchema, frame)));
  }

  private setLink(state: LinkState, reason: string): void {
    const sinceMs = state === this.link.state ? this.link.sinceMs : Date.now();
    this.link = { state, sinceMs, reason };
    this.tell(this.linkMessage());
  }

  private linkMessage(): FromWorker {
    return { type: "link", ...this.link, roundTripMs: this.roundTripMs };
  }
}

function boxMessage(box: Box | undefined) {
  return box && { southDeg: box.south, westDeg: box.west, northDeg: box.north, eastDeg: box.east };
}
