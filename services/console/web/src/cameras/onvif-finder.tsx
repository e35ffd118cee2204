import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { useAct } from "../contract/use-call";
import { OnvifService, type MediaProfile, type ReadDeviceResponse } from "../generated/rtcc/video/v1/onvif_pb";
import { useRight } from "../session/store";
import { Button, Field, ProblemNote } from "../ui/parts";
import { profileFacts, proposed, withAccount } from "./onvif";

/** Addresses with their account, as they are stored. */
export interface FoundStreams {
  main: string;
  low: string;
  control: string;
}

/** Asks an ONVIF device for its pictures, so that nobody has to know their addresses. The password stays in this page until the camera is saved. */
export function OnvifFinder({ onUse }: { onUse(found: FoundStreams): void }) {
  const may = useRight("camera.read_device");
  const [open, setOpen] = useState(false);
  const [account, setAccount] = useState({ address: "", username: "", password: "" });
  const [chosen, setChosen] = useState({ main: "", low: "" });
  const set = (part: Partial<typeof account>) => setAccount((before) => ({ ...before, ...part }));
  const look = useAct(() => send(OnvifService.method.discoverDevices, {}));
  const ask = useAct(
    () => send(OnvifService.method.readDevice, account),
    (told) => setChosen(proposed(told.profiles)),
  );
  if (!may) return null;
  if (!open)
    return (
      <div>
        <Button size="small" onClick={() => setOpen(true)}>
          Ask an ONVIF device for its addresses
        </Button>
      </div>
    );
  const reason = (field: string) => (ask.error instanceof ProblemError ? ask.error.reasonFor(field) : undefined);
  const use = (told: ReadDeviceResponse) => {
    const of = (token: string) => told.profiles.find((profile) => profile.token === token);
    const url = (profile: MediaProfile | undefined, part: "streamUrl" | "controlUrl") => withAccount(profile?.[part] ?? "", account.username, account.password);
    onUse({ main: url(of(chosen.main), "streamUrl"), low: url(of(chosen.low), "streamUrl"), control: url(of(chosen.main), "controlUrl") });
    setOpen(false);
  };
  const onEnter = (event: React.KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement)) return;
    // the form around it saves the camera
    event.preventDefault();
    if (account.address) ask.mutate();
  };
  return (
    <div className="note stack" role="group" aria-label="ONVIF device" data-testid="onvif-finder" onKeyDown={onEnter}>
      <div className="row">
        <Button size="small" busy={look.isPending} onClick={() => look.mutate()}>
          Look in the network
        </Button>
        {look.data && <span className="muted">{look.data.devices.length ? `${look.data.devices.length} found` : "Nobody answered: enter the address."}</span>}
      </div>
      {look.data && look.data.devices.length > 0 && (
        <ul className="row" data-testid="onvif-devices">
          {look.data.devices.map((device) => (
            <li key={device.address}>
              <Button size="small" aria-pressed={account.address === device.address} onClick={() => set({ address: device.address })}>
                {[device.name, device.hardware, device.location].filter(Boolean).join(" · ") || device.address}
              </Button>
            </li>
          ))}
        </ul>
      )}
      <div className="columns">
        <Field label="Device's host or address" problem={reason("address")}>
          {(attributes) => <input {...attributes} name="onvif-address" maxLength={512} placeholder="10.0.0.7" value={account.address} onChange={(event) => set({ address: event.target.value })} />}
        </Field>
        <Field label="User name">
          {(attributes) => <input {...attributes} name="onvif-username" maxLength={128} autoComplete="off" value={account.username} onChange={(event) => set({ username: event.target.value })} />}
        </Field>
        <Field label="Password" problem={reason("password")}>
          {(attributes) => <input {...attributes} name="onvif-password" type="password" maxLength={128} autoComplete="off" value={account.password} onChange={(event) => set({ password: event.target.value })} />}
        </Field>
      </div>
      <div>
        <Button busy={ask.isPending} disabled={!account.address} onClick={() => ask.mutate()}>
          Ask the device
        </Button>
      </div>
      {ask.data && (
        <>
          <p>
            {ask.data.manufacturer} {ask.data.model} <span className="muted">{ask.data.firmwareVersion}</span>
          </p>
          <div className="columns">
            <ProfileChoice label="Main picture" profiles={ask.data.profiles} value={chosen.main} onValue={(main) => setChosen((before) => ({ ...before, main }))} />
            <ProfileChoice label="Low quality" none="None" profiles={ask.data.profiles} value={chosen.low} onValue={(low) => setChosen((before) => ({ ...before, low }))} />
          </div>
          <div>
            <Button look="primary" disabled={!chosen.main} onClick={() => use(ask.data)}>
              Use these pictures
            </Button>
          </div>
        </>
      )}
      <ProblemNote error={look.error ?? ask.error} />
    </div>
  );
}

function ProfileChoice(props: { label: string; none?: string; profiles: readonly MediaProfile[]; value: string; onValue(token: string): void }) {
  return (
    <Field label={props.label}>
      {(attributes) => (
        <select {...attributes} value={props.value} onChange={(event) => props.onValue(event.target.value)}>
          <option value="">{props.none ?? "Choose one"}</option>
          {props.profiles
            .filter((profile) => profile.streamUrl)
            .map((profile) => (
              <option key={profile.token} value={profile.token}>
                {`${profile.name || profile.token}: ${profileFacts(profile)}`}
              </option>
            ))}
        </select>
      )}
    </Field>
  );
}
