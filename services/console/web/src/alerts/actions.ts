/** What can be done to an alert; each answer of the server enters the picture at once, the live socket's copy then changes nothing. */
import { send } from "../contract/call";
import { clockTime } from "../contract/time";
import { AlertingService, PlateDisposition, type Alert } from "../generated/rtcc/alerting/v1/alerting_pb";
import { ExchangeService } from "../generated/rtcc/exchange/v1/exchange_pb";
import { RegistryService } from "../generated/rtcc/registry/v1/registry_pb";
import { applyMessage, useLive } from "../live/store";
import { useMap } from "../map/store";
import { notify, notifyProblem } from "../ui/notices";
import { dockCameras } from "../video/dock";
import { isUnacknowledged, type QueueItem } from "./queue";
import { choose, chooseFromWindow, openAlert } from "./selection";

function take(alert: Alert | undefined): void {
  if (!alert) return;
  useLive.setState((picture) => applyMessage(picture, { type: "alerts", alerts: [alert], shared: [], receivedAtMs: Date.now() }, performance.now()));
}

export async function acknowledge(item: QueueItem): Promise<void> {
  try {
    if (item.shared) {
      const answer = await send(ExchangeService.method.acknowledgeSharedAlert, { alertId: item.id });
      const { alert } = answer;
      if (alert) useLive.setState((picture) => applyMessage(picture, { type: "alerts", alerts: [], shared: [alert], receivedAtMs: Date.now() }, performance.now()));
      if (!answer.won) notify(`${answer.alert?.acknowledgedByName ?? "Somebody"} has this alert since ${clockTime(answer.alert?.acknowledgedAt)}.`);
      return;
    }
    const answer = await send(AlertingService.method.acknowledgeAlert, { alertId: item.id });
    take(answer.alert);
    if (!answer.won) notify(`${answer.alert?.acknowledgedByName ?? "Somebody"} has this alert since ${clockTime(answer.alert?.acknowledgedAt)}.`);
  } catch (error) {
    notifyProblem(error);
  }
}

/** Open, fly there, dock its best cameras; acknowledge when nobody has it. One key. */
export async function acknowledgeAndOpen(item: QueueItem): Promise<void> {
  choose(item.id);
  showAlert(item);
  await Promise.all([isUnacknowledged(item) ? acknowledge(item) : undefined, dockFor(item)]);
}

export function showAlert(item: QueueItem): void {
  openAlert(item.id);
  const at = item.alert.position?.coordinate;
  if (at) useMap.getState().flyTo(at.longitudeDeg, at.latitudeDeg, item.alert.severity);
}

/** Another window of this desk chose: its map or list follows. Cameras stay in the window that docked them: a second copy would be a second view. */
export function followAlert(alertId: string | undefined, open: boolean): void {
  chooseFromWindow(alertId, open);
  const at = open && alertId ? useLive.getState().alerts.get(alertId)?.alert.position?.coordinate : undefined;
  if (at) useMap.getState().flyTo(at.longitudeDeg, at.latitudeDeg, useLive.getState().alerts.get(alertId ?? "")?.alert.severity ?? 0);
}

/** The cameras that came with the alert; only an alert without any is looked up. */
export async function dockFor(item: QueueItem): Promise<void> {
  const cameras = item.alert.context?.cameras ?? [];
  if (cameras.length) {
    dockCameras(cameras.map((camera) => camera.cameraId));
    return;
  }
  const coordinate = item.alert.position?.coordinate;
  if (!coordinate || item.shared) return;
  try {
    const answer = await send(RegistryService.method.rankCameras, { coordinate, limit: 4 });
    dockCameras(answer.cameras.flatMap((ranked) => ranked.camera?.cameraId ?? []));
  } catch (error) {
    notifyProblem(error);
  }
}

export async function confirmPlate(item: QueueItem, disposition: PlateDisposition): Promise<void> {
  try {
    take((await send(AlertingService.method.confirmPlate, { alertId: item.id, disposition })).alert);
  } catch (error) {
    notifyProblem(error);
  }
}

export async function startWork(item: QueueItem): Promise<void> {
  try {
    take((await send(AlertingService.method.startAlert, { alertId: item.id })).alert);
  } catch (error) {
    notifyProblem(error);
  }
}

export async function closeAlert(item: QueueItem, outcome: string, note: string): Promise<void> {
  take((await send(AlertingService.method.closeAlert, { alertId: item.id, outcome, note })).alert);
}
