import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { useAct, useRead } from "../contract/use-call";
import { CameraForm } from "../cameras/camera-form";
import { ImportDialog } from "../cameras/import-dialog";
import type { CreateEnrolmentResponse } from "../generated/rtcc/gateway/v1/gateway_pb";
import { RegistryService, type Agency, type Person } from "../generated/rtcc/registry/v1/registry_pb";
import { EnrolmentDialog, PersonForm } from "../people/people";
import { useOwnAgency, useRight, useSession } from "../session/store";
import { follow } from "../shell/router";
import { Notices } from "../ui/notices";
import { Button, Field, ProblemNote } from "../ui/parts";
import "./setup.css";

/**
 * The first walk. Whoever runs the installation makes the agency and its administrator; the administrator, signed in as
 * themselves, brings in people and cameras: nobody has to act for an agency that is not theirs.
 */
export default function Setup() {
  const runsInstallation = useRight("agency.create");
  const mayCameras = useRight("camera.create");
  const agencies = useRead(RegistryService.method.listAgencies, {});
  const own = useOwnAgency();
  const others = (agencies.data?.agencies ?? []).filter((agency) => agency.agencyId !== own);
  const name = useSession((state) => state.session?.person.display_name);
  return (
    <main className="setup" data-testid="setup">
      <header className="stack">
        <div className="door-mark">
          <img src="/icon.svg" alt="" width="36" height="36" />
          <strong>OpenRTCC</strong>
        </div>
        <h1>Welcome, {name}</h1>
        <p className="secondary">{runsInstallation ? "This installation is new. Make its first agency and that agency's administrator." : "Your agency is ready. Bring in its people and cameras."}</p>
      </header>
      {runsInstallation ? <InstallationSteps agencies={others} /> : <AgencySteps mayCameras={mayCameras} />}
      <ProblemNote error={agencies.error} />
      <footer className="row">
        <a className="button" data-look="quiet" href="/map" onClick={follow}>
          Leave the walk, open the console
        </a>
      </footer>
      <Notices />
    </main>
  );
}

function InstallationSteps({ agencies }: { agencies: readonly Agency[] }) {
  const [agency, setAgency] = useState<Agency>();
  const [naming, setNaming] = useState(false);
  const [enrolment, setEnrolment] = useState<{ person: Person; link: CreateEnrolmentResponse }>();
  const [shown, setShown] = useState(false);
  const [another, setAnother] = useState(false);
  const current = agency ?? (another ? undefined : agencies[0]);
  return (
    <ol className="setup-steps">
      <Step number={1} title="Agency" done={current !== undefined}>
        {current ? (
          <div className="spread">
            <span>
              <strong>{current.name}</strong> <code>{current.agencyId}</code>
            </span>
            <Button
              size="small"
              data-testid="setup-another"
              onClick={() => {
                setAgency(undefined);
                setEnrolment(undefined);
                setAnother(true);
              }}
            >
              Make another agency
            </Button>
          </div>
        ) : (
          <AgencyForm onCreated={setAgency} />
        )}
      </Step>
      <Step number={2} title="Its administrator" done={enrolment !== undefined}>
        {current && !enrolment && (
          <>
            <p className="secondary">The person who will keep {current.name}'s people, cameras and agreements. It may be you, with a second login.</p>
            <div>
              <Button look="primary" onClick={() => setNaming(true)} data-testid="setup-person">
                Name the administrator
              </Button>
            </div>
          </>
        )}
        {enrolment && (
          <>
            <p className="secondary">
              {enrolment.person.displayName} ({enrolment.person.login}) signs up with this link, here or on another computer, and then brings in people and cameras:
            </p>
            <p>
              <a href={enrolment.link.url} data-testid="setup-continue">
                Continue as {enrolment.person.displayName}
              </a>
            </p>
          </>
        )}
      </Step>
      <Step number={3} title="People and cameras" done={false}>
        <p className="muted">Next, by the administrator.</p>
      </Step>
      {naming && current && (
        <PersonForm
          agencyId={current.agencyId}
          onClose={() => setNaming(false)}
          onCreated={(person, link) => {
            setNaming(false);
            if (!link) return;
            setEnrolment({ person, link });
            setShown(true);
          }}
        />
      )}
      {shown && enrolment && <EnrolmentDialog {...enrolment} onClose={() => setShown(false)} />}
    </ol>
  );
}

function AgencyForm({ onCreated }: { onCreated(agency: Agency): void }) {
  const [name, setName] = useState("");
  const [typedId, setTypedId] = useState<string>();
  const [timeZone, setTimeZone] = useState(() => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
  const agencyId = typedId ?? slug(name);
  const save = useAct(
    () => send(RegistryService.method.createAgency, { agencyId, name: name.trim(), timeZone }),
    ({ agency }) => agency && onCreated(agency),
  );
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(undefined);
      }}
    >
      <Field label="Name" problem={reason("name")}>
        {(attributes) => <input {...attributes} name="name" required maxLength={120} autoFocus placeholder="Harbor Police Department" value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
      <div className="columns">
        <Field label="Short name" hint="a–z, 0–9 and -; never changes, it is part of every address" problem={reason("agency_id")}>
          {(attributes) => <input {...attributes} name="agency_id" required pattern="[a-z0-9](?:[a-z0-9]|-){1,39}" value={agencyId} onChange={(event) => setTypedId(event.target.value)} />}
        </Field>
        <Field label="Time zone" problem={reason("time_zone")}>
          {(attributes) => <input {...attributes} name="time_zone" required list="time-zones" value={timeZone} onChange={(event) => setTimeZone(event.target.value)} />}
        </Field>
        <datalist id="time-zones">
          {Intl.supportedValuesOf("timeZone").map((zone) => (
            <option key={zone} value={zone} />
          ))}
        </datalist>
      </div>
      <ProblemNote error={save.error} />
      <div>
        <Button type="submit" look="primary" busy={save.isPending}>
          Create the agency
        </Button>
      </div>
    </form>
  );
}

function slug(name: string): string {
  return name
    .normalize("NFD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 40);
}

function AgencySteps({ mayCameras }: { mayCameras: boolean }) {
  const people = useRead(RegistryService.method.listPeople, {});
  const cameras = useRead(RegistryService.method.listCameras, {}, { enabled: mayCameras });
  const [open, setOpen] = useState<"person" | "camera" | "import">();
  const [enrolment, setEnrolment] = useState<{ person: Person; link: CreateEnrolmentResponse }>();
  const others = Math.max(0, (people.data?.people.length ?? 1) - 1);
  const count = cameras.data?.cameras.length ?? 0;
  return (
    <ol className="setup-steps" start={3}>
      <Step number={3} title="People" done={others > 0}>
        <p className="secondary">{others ? `${others} besides you.` : "Each person gets a link with which they choose their own password and second factor."}</p>
        <div>
          <Button look="primary" onClick={() => setOpen("person")}>
            Add a person
          </Button>
        </div>
      </Step>
      <Step number={4} title="Cameras" done={count > 0}>
        <p className="secondary">{count ? `${count} on the map.` : "Import a list (CSV or GeoJSON), or place the first one by hand."}</p>
        <div className="row">
          <Button look="primary" onClick={() => setOpen("import")} data-testid="setup-import">
            Import a list
          </Button>
          <Button onClick={() => setOpen("camera")}>Place one</Button>
        </div>
      </Step>
      <Step number={5} title="Go" done={false}>
        <div>
          <a className="button" data-look="primary" href="/map" onClick={follow}>
            Open the live map
          </a>
        </div>
      </Step>
      {open === "person" && (
        <PersonForm
          onClose={() => setOpen(undefined)}
          onCreated={(person, link) => {
            setOpen(undefined);
            if (link) setEnrolment({ person, link });
          }}
        />
      )}
      {open === "camera" && <CameraForm camera={undefined} onClose={() => setOpen(undefined)} />}
      {open === "import" && <ImportDialog onClose={() => setOpen(undefined)} />}
      {enrolment && <EnrolmentDialog {...enrolment} onClose={() => setEnrolment(undefined)} />}
    </ol>
  );
}

function Step({ number, title, done, children }: { number: number; title: string; done: boolean; children: React.ReactNode }) {
  return (
    <li className="card stack" data-done={done || undefined}>
      <h2>
        <span className="step-number">{done ? "✓" : number}</span> {title}
      </h2>
      {children}
    </li>
  );
}
