import { create } from "@bufbuild/protobuf";
import { useState } from "react";
import { send } from "../contract/call";
import { age, dayAndTime, fromLocalInput } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { AccountService, type CreateEnrolmentResponse } from "../generated/rtcc/gateway/v1/gateway_pb";
import { PersonSchema, RegistryService, type Person } from "../generated/rtcc/registry/v1/registry_pb";
import { useOwnAgency, useRight, useSession } from "../session/store";
import { notify, notifyProblem } from "../ui/notices";
import { Page, Read, Table, Tabs } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { ProblemError } from "../contract/problem";
import { QrCode } from "../ui/qr-code";

/** What each role may do, in plain words. */
export const ROLES: readonly (readonly [string, string])[] = [
  ["operator", "watches alerts and cameras, searches with a reason"],
  ["supervisor", "as operator, and approves, revokes and reads the audit log"],
  ["officer", "uses the field view"],
  ["investigator", "as operator, and sees person records in full and criminal intelligence"],
  ["dispatcher", "sees calls, alerts and units"],
  ["auditor", "reads the log, nothing else"],
  ["administrator", "keeps people, cameras, sources and agreements"],
  ["platform_operator", "keeps the installation; sees neither video nor persons"],
];

export default function People() {
  const [tab, setTab] = useState<"people" | "sessions">("people");
  const [creating, setCreating] = useState(false);
  const [enrolment, setEnrolment] = useState<{ person: Person; link: CreateEnrolmentResponse }>();
  const mayCreate = useRight("person.create");
  const mayList = useRight("session.list");
  return (
    <Page
      title="People and roles"
      actions={
        mayCreate && (
          <Button look="primary" onClick={() => setCreating(true)}>
            New person
          </Button>
        )
      }
    >
      {mayList && <Tabs label="View" tabs={[["people", "People"], ["sessions", "Signed in now"]]} value={tab} onValue={setTab} />}
      {tab === "people" ? <PeopleTable onEnrolment={(person, link) => setEnrolment({ person, link })} /> : <Sessions />}
      {creating && (
        <PersonForm
          onClose={() => setCreating(false)}
          onCreated={(person, link) => {
            setCreating(false);
            if (link) setEnrolment({ person, link });
          }}
        />
      )}
      {enrolment && <EnrolmentDialog {...enrolment} onClose={() => setEnrolment(undefined)} />}
    </Page>
  );
}

function PeopleTable({ onEnrolment }: { onEnrolment(person: Person, link: CreateEnrolmentResponse): void }) {
  const query = useRead(RegistryService.method.listPeople, {});
  const mayRoles = useRight("person.set_roles");
  const mayEnable = useRight("person.set_enabled");
  const mayEnrol = useRight("account.enrol");
  const mayRelease = useRight("account.release");
  const ownId = useSession((state) => state.session?.person.person_id);
  const [rolesOf, setRolesOf] = useState<Person>();
  const enrol = useAct(async (person: Person) => onEnrolment(person, await send(AccountService.method.createEnrolment, { personId: person.personId })));
  const release = useAct((person: Person) => send(AccountService.method.releaseLock, { personId: person.personId }), () => notify("The account is released: five new tries."));
  const enable = useAct((person: Person) => send(RegistryService.method.setPersonEnabled, { personId: person.personId, enabled: !person.enabled }));
  return (
    <>
      <Read query={query}>
        {(data) => (
          <Table
            label="People"
            rowTestId="person-row"
            rows={[...data.people].sort((one, other) => one.displayName.localeCompare(other.displayName))}
            rowKey={(person) => person.personId}
            empty="Nobody yet."
            columns={[
              {
                title: "Name",
                cell: (person) => (
                  <>
                    <strong>{person.displayName}</strong> <span className="muted">{person.login}</span>
                  </>
                ),
              },
              { title: "Roles", cell: (person) => <span className="row">{person.roles.map((role) => <span key={role} className="badge">{role.replace("_", " ")}</span>)}</span> },
              { title: "Account", cell: (person) => (person.enabled ? person.endsAt ? `until ${dayAndTime(person.endsAt)}` : "enabled" : <span className="badge" data-tone="act">disabled</span>) },
              {
                title: "",
                cell: (person) => (
                  <span className="row" style={{ justifyContent: "flex-end" }}>
                    {mayRoles && (
                      <Button size="small" onClick={() => setRolesOf(person)} aria-label={`Roles of ${person.displayName}`}>
                        Roles
                      </Button>
                    )}
                    {mayEnrol && (
                      <Button size="small" onClick={() => enrol.mutate(person, { onError: notifyProblem })} aria-label={`Enrolment link for ${person.displayName}`}>
                        Enrolment link
                      </Button>
                    )}
                    {mayRelease && (
                      <Button size="small" onClick={() => release.mutate(person, { onError: notifyProblem })} aria-label={`Release ${person.displayName}`}>
                        Release lock
                      </Button>
                    )}
                    {mayEnable && person.personId !== ownId && (
                      <Button size="small" {...(person.enabled ? { look: "danger" as const } : {})} onClick={() => enable.mutate(person, { onError: notifyProblem })} aria-label={`${person.enabled ? "Disable" : "Enable"} ${person.displayName}`}>
                        {person.enabled ? "Disable" : "Enable"}
                      </Button>
                    )}
                  </span>
                ),
              },
            ]}
          />
        )}
      </Read>
      {rolesOf && <RolesDialog person={rolesOf} onClose={() => setRolesOf(undefined)} />}
    </>
  );
}

function RoleChoice({ roles, onRoles }: { roles: ReadonlySet<string>; onRoles(roles: ReadonlySet<string>): void }) {
  const mayPlatform = useSession((state) => state.session?.person.roles.includes("platform_operator") ?? false);
  return (
    <fieldset className="plain">
      <legend className="legend">Roles</legend>
      {ROLES.filter(([role]) => role !== "platform_operator" || mayPlatform).map(([role, what]) => (
        <label key={role} className="check">
          <input
            type="checkbox"
            name={`role-${role}`}
            checked={roles.has(role)}
            onChange={() => {
              const next = new Set(roles);
              if (!next.delete(role)) next.add(role);
              onRoles(next);
            }}
          />
          <span>
            <strong>{role.replace("_", " ")}</strong> <span className="muted">{what}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function RolesDialog({ person, onClose }: { person: Person; onClose(): void }) {
  const [roles, setRoles] = useState<ReadonlySet<string>>(new Set(person.roles));
  const save = useAct(() => send(RegistryService.method.setPersonRoles, { personId: person.personId, roles: [...roles] }), onClose);
  return (
    <Dialog title={`Roles of ${person.displayName}`} onClose={onClose} onSubmit={() => save.mutate(undefined)} foot={<Button type="submit" look="primary" busy={save.isPending}>Save</Button>}>
      <RoleChoice roles={roles} onRoles={setRoles} />
      <p className="muted">Takes effect at once, also in running sessions.</p>
      <ProblemNote error={save.error} />
    </Dialog>
  );
}

export function PersonForm({ onClose, onCreated, agencyId }: { onClose(): void; onCreated(person: Person, link: CreateEnrolmentResponse | undefined): void; agencyId?: string }) {
  const ownAgency = useOwnAgency();
  const [displayName, setDisplayName] = useState("");
  const [login, setLogin] = useState("");
  const [email, setEmail] = useState("");
  const [ends, setEnds] = useState("");
  const [roles, setRoles] = useState<ReadonlySet<string>>(new Set(["operator"]));
  const mayEnrol = useRight("account.enrol");
  const save = useAct(
    async () => {
      const endsAt = fromLocalInput(ends);
      const { person } = await send(RegistryService.method.createPerson, {
        person: create(PersonSchema, { agencyId: agencyId ?? ownAgency, displayName: displayName.trim(), login: login.trim().toLowerCase(), email: email.trim(), roles: [...roles], enabled: true, ...(endsAt ? { endsAt } : {}) }),
      });
      if (!person) throw new Error("The server created a person but did not say whom; look in the list.");
      return { person, link: mayEnrol ? await send(AccountService.method.createEnrolment, { personId: person.personId }) : undefined };
    },
    ({ person, link }) => onCreated(person, link),
  );
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  return (
    <Dialog title="New person" testId="person-form" onClose={onClose} onSubmit={() => save.mutate(undefined)} foot={<Button type="submit" look="primary" busy={save.isPending}>Create and get the enrolment link</Button>}>
      <Field label="Name" problem={reason("display_name")}>
        {(attributes) => <input {...attributes} name="display_name" required maxLength={120} autoFocus value={displayName} onChange={(event) => setDisplayName(event.target.value)} />}
      </Field>
      <Field label="Login" hint="What they type to sign in" problem={reason("login")}>
        {(attributes) => <input {...attributes} name="login" required maxLength={64} autoCapitalize="none" spellCheck={false} value={login} onChange={(event) => setLogin(event.target.value)} />}
      </Field>
      <Field label="E-mail" hint="Optional; matches your organisation's sign-in" problem={reason("email")}>
        {(attributes) => <input {...attributes} name="email" type="email" value={email} onChange={(event) => setEmail(event.target.value)} />}
      </Field>
      <RoleChoice roles={roles} onRoles={setRoles} />
      <Field label="Ends at" hint="Only for temporary accounts" problem={reason("ends_at")}>
        {(attributes) => <input {...attributes} type="datetime-local" value={ends} onChange={(event) => setEnds(event.target.value)} />}
      </Field>
      <ProblemNote error={save.error} />
    </Dialog>
  );
}

export function EnrolmentDialog({ person, link, onClose }: { person: Person; link: CreateEnrolmentResponse; onClose(): void }) {
  return (
    <Dialog title={`Enrolment of ${person.displayName}`} testId="enrolment-dialog" onClose={onClose} foot={<Button look="primary" onClick={onClose}>Done</Button>}>
      <p className="secondary">
        Give this link to {person.displayName} and to nobody else. It works once, until {dayAndTime(link.expiresAt)}. With it they choose their own password and second factor.
      </p>
      <div className="qr-step">
        <QrCode text={link.url} label={`Enrolment link of ${person.displayName}`} />
        <div className="stack">
          <code data-testid="enrolment-link" style={{ overflowWrap: "anywhere" }}>
            {link.url}
          </code>
          <div>
            <Button size="small" onClick={() => void navigator.clipboard.writeText(link.url).then(() => notify("Copied."))}>
              Copy
            </Button>
          </div>
        </div>
      </div>
    </Dialog>
  );
}

function Sessions() {
  const query = useRead(AccountService.method.listSessions, {}, { everyMs: 15_000 });
  const mayEnd = useRight("session.end");
  const own = useSession((state) => state.session?.session_id);
  const end = useAct((sessionId: string) => send(AccountService.method.endSession, { sessionId }), () => notify("Session ended."));
  return (
    <Read query={query}>
      {(data) => (
        <Table
          label="Sessions"
          rows={data.sessions}
          rowKey={(session) => session.sessionId}
          empty="Nobody is signed in."
          columns={[
            { title: "Who", cell: (session) => <strong>{session.displayName}</strong> },
            { title: "Since", cell: (session) => dayAndTime(session.startedAt) },
            { title: "Last seen", cell: (session) => `${age(session.lastSeenAt, Date.now())} ago` },
            { title: "From", cell: (session) => <span className="mono">{session.sourceAddress}</span> },
            {
              title: "",
              cell: (session) =>
                session.sessionId === own ? (
                  <span className="muted">this one</span>
                ) : (
                  mayEnd && (
                    <Button size="small" look="danger" aria-label={`End session of ${session.displayName}`} onClick={() => end.mutate(session.sessionId, { onError: notifyProblem })}>
                      End
                    </Button>
                  )
                ),
            },
          ]}
        />
      )}
    </Read>
  );
}
