import { create } from "@bufbuild/protobuf";
import { useState } from "react";
import { CHANNELS, deliveryWords } from "../alerts/behind";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { useAct, useRead } from "../contract/use-call";
import { AlertingService, ContactSchema, NotificationChannel, type Contact } from "../generated/rtcc/alerting/v1/alerting_pb";
import { useRight } from "../session/store";
import { notify, notifyProblem } from "../ui/notices";
import { OnceSecret, Read, Table } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { ZoneChoice } from "./rules";

/** People and systems that are told outside of the console. */
export function Contacts() {
  const maySet = useRight("contact.set");
  const mayRemove = useRight("contact.remove");
  const mayTest = useRight("contact.test");
  const query = useRead(AlertingService.method.listContacts, {});
  const [editing, setEditing] = useState<Contact | "new">();
  const remove = useAct((contact: Contact) => send(AlertingService.method.removeContact, { contactId: contact.contactId }));
  const test = useAct((contact: Contact) => send(AlertingService.method.testContact, { contactId: contact.contactId }), (answer) => answer.delivery && notify(`Test to ${answer.delivery.contactName}: ${deliveryWords(answer.delivery)}`));
  return (
    <>
      <div className="spread">
        <p className="secondary">The same alert reaches each of them once; what was sent stands under "Messages sent".</p>
        {maySet && (
          <Button look="primary" onClick={() => setEditing("new")} data-testid="new-contact">
            New contact
          </Button>
        )}
      </div>
      <Read query={query}>
        {(data) => (
          <Table
            label="Contacts"
            rowTestId="contact-row"
            rows={data.contacts}
            rowKey={(contact) => contact.contactId}
            empty="Nobody is told outside of the console yet."
            columns={[
              { title: "Name", cell: (contact) => <strong>{contact.name}</strong> },
              { title: "By", cell: (contact) => `${CHANNELS[contact.channel]} to ${contact.address}` },
              { title: "Told of", cell: toldOf },
              { title: "State", cell: (contact) => (contact.enabled ? "on" : <span className="badge" data-tone="act">off</span>) },
              {
                title: "",
                cell: (contact) => (
                  <span className="row">
                    {mayTest && (
                      <Button size="small" busy={test.isPending && test.variables?.contactId === contact.contactId} onClick={() => test.mutate(contact, { onError: notifyProblem })} aria-label={`Send a test to ${contact.name}`}>
                        Test
                      </Button>
                    )}
                    {maySet && (
                      <Button size="small" onClick={() => setEditing(contact)} aria-label={`Edit ${contact.name}`}>
                        Edit
                      </Button>
                    )}
                    {mayRemove && (
                      <Button size="small" look="danger" onClick={() => confirm(`Tell ${contact.name} nothing any more?`) && remove.mutate(contact, { onError: notifyProblem })} aria-label={`Remove ${contact.name}`}>
                        Remove
                      </Button>
                    )}
                  </span>
                ),
              },
            ]}
          />
        )}
      </Read>
      {editing && <ContactForm contact={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} />}
    </>
  );
}

function toldOf(contact: Contact): string {
  const kinds = contact.alertKinds.length ? contact.alertKinds.map((kind) => kind.replaceAll("_", " ")).join(", ") : "every kind";
  return `${kinds}, severity 1 to ${contact.leastSeverity || 2}${contact.onlyEscalated ? ", once escalated" : ""}${contact.zoneIds.length ? `, in ${contact.zoneIds.length} zones` : ""}`;
}

function ContactForm({ contact, onClose }: { contact: Contact | undefined; onClose(): void }) {
  const [draft, setDraft] = useState<Contact>(contact ?? create(ContactSchema, { channel: NotificationChannel.EMAIL, enabled: true, leastSeverity: 2 }));
  const [newSecret, setNewSecret] = useState(false);
  const rules = useRead(AlertingService.method.listAlertRules, {});
  const save = useAct(() => send(AlertingService.method.setContact, { contact: draft, newSecret }), (answer) => {
    if (!answer.secret) onClose();
  });
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  const change = (part: Partial<Contact>) => setDraft({ ...draft, ...part });
  if (save.data?.secret)
    return (
      <Dialog title={draft.name} onClose={onClose} foot={<Button onClick={onClose}>Done</Button>}>
        <OnceSecret label="Signing secret of the webhook" value={save.data.secret} hint="Shown once: the receiver checks Rtcc-Signature with it." />
      </Dialog>
    );
  return (
    <Dialog
      title={contact ? contact.name : "New contact"}
      testId="contact-form"
      onClose={onClose}
      onSubmit={() => save.mutate(undefined)}
      foot={
        <Button type="submit" look="primary" busy={save.isPending}>
          Save
        </Button>
      }
    >
      <Field label="Name" problem={reason("name")}>
        {(attributes) => <input {...attributes} name="contact-name" required maxLength={120} value={draft.name} onChange={(event) => change({ name: event.target.value })} />}
      </Field>
      <div className="columns">
        <Field label="By" problem={reason("channel")}>
          {(attributes) => (
            <select {...attributes} name="channel" value={draft.channel} onChange={(event) => change({ channel: Number(event.target.value) })}>
              {[NotificationChannel.EMAIL, NotificationChannel.SMS, NotificationChannel.WEBHOOK].map((channel) => (
                <option key={channel} value={channel}>
                  {CHANNELS[channel]}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="To" hint={{ [NotificationChannel.UNSPECIFIED]: "", [NotificationChannel.EMAIL]: "A mail address", [NotificationChannel.SMS]: "+358401234567", [NotificationChannel.WEBHOOK]: "An https address" }[draft.channel]} problem={reason("address")}>
          {(attributes) => <input {...attributes} name="address" required maxLength={400} value={draft.address} onChange={(event) => change({ address: event.target.value })} />}
        </Field>
      </div>
      <div className="columns">
        <Field label="Down to severity" problem={reason("least_severity")}>
          {(attributes) => (
            <select {...attributes} value={draft.leastSeverity || 2} onChange={(event) => change({ leastSeverity: Number(event.target.value) })}>
              <option value={1}>1, life</option>
              <option value={2}>2, urgent</option>
              <option value={3}>3, caution</option>
              <option value={4}>4, information</option>
            </select>
          )}
        </Field>
        <Field label="Most messages an hour" hint="Beyond it one digest tells the rest" problem={reason("maximum_per_hour")}>
          {(attributes) => <input {...attributes} type="number" min={1} max={1000} placeholder="30" value={draft.maximumPerHour || ""} onChange={(event) => change({ maximumPerHour: Number(event.target.value) })} />}
        </Field>
      </div>
      <fieldset className="plain">
        <legend className="legend">Only these kinds (none: every kind)</legend>
        <div className="choice-list">
          {rules.data?.rules.map(({ rule }) => (
            <label key={rule} className="check">
              <input type="checkbox" name={`kind-${rule}`} checked={draft.alertKinds.includes(rule)} onChange={(event) => change({ alertKinds: event.target.checked ? [...draft.alertKinds, rule] : draft.alertKinds.filter((kind) => kind !== rule) })} />
              {rule.replaceAll("_", " ")}
            </label>
          ))}
        </div>
      </fieldset>
      <ZoneChoice chosen={draft.zoneIds} onChoose={(zoneIds) => change({ zoneIds: [...zoneIds] })} />
      <label className="check">
        <input type="checkbox" checked={draft.onlyEscalated} onChange={(event) => change({ onlyEscalated: event.target.checked })} />
        Only once nobody acknowledged in time
      </label>
      <label className="check">
        <input type="checkbox" checked={draft.enabled} onChange={(event) => change({ enabled: event.target.checked })} />
        On
      </label>
      <details>
        <summary>Own text</summary>
        <div className="stack">
          <Field label="Subject" hint="{title} {severity} {kind} {place} {time} {agency} {link}" problem={reason("subject_template")}>
            {(attributes) => <input {...attributes} maxLength={200} value={draft.subjectTemplate} onChange={(event) => change({ subjectTemplate: event.target.value })} />}
          </Field>
          <Field label="Text" hint="Also {latitude} {longitude} {drone_model} {drone_serial} {drone_height_m} {pilot_latitude} {pilot_longitude}; empty: the built-in text" problem={reason("body_template")}>
            {(attributes) => <textarea {...attributes} maxLength={2000} value={draft.bodyTemplate} onChange={(event) => change({ bodyTemplate: event.target.value })} />}
          </Field>
        </div>
      </details>
      {contact?.channel === NotificationChannel.WEBHOOK && (
        <label className="check">
          <input type="checkbox" checked={newSecret} onChange={(event) => setNewSecret(event.target.checked)} />
          Make a new signing secret
        </label>
      )}
      <ProblemNote error={save.error} />
    </Dialog>
  );
}
