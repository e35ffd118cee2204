import { create } from "@bufbuild/protobuf";
import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { AlertingService, NotificationSettingsSchema, SmtpSecurity, type NotificationSettings } from "../generated/rtcc/alerting/v1/alerting_pb";
import { useRight } from "../session/store";
import { notify } from "../ui/notices";
import { Read } from "../ui/page";
import { Button, Field, ProblemNote } from "../ui/parts";

/** The agency's own mail server and SMS gateway. Secrets go in and never come out. */
export function Servers() {
  const query = useRead(AlertingService.method.getNotificationSettings, {});
  return <Read query={query}>{(data) => <ServerForm key={data.settings?.changedAt?.seconds.toString()} settings={data.settings ?? create(NotificationSettingsSchema)} />}</Read>;
}

function ServerForm({ settings }: { settings: NotificationSettings }) {
  const maySet = useRight("notification_settings.set");
  const [draft, setDraft] = useState(settings);
  const save = useAct(() => send(AlertingService.method.setNotificationSettings, { settings: draft }), () => notify("Saved. Send a test to a contact to see that it works."));
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  const change = (part: Partial<NotificationSettings>) => setDraft({ ...draft, ...part });
  return (
    <form
      className="card stack servers"
      data-testid="notification-servers"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(undefined);
      }}
    >
      <fieldset className="plain stack" disabled={!maySet}>
        <h2>E-mail</h2>
        <div className="columns">
          <Field label="Server" hint="Empty: no e-mail" problem={reason("smtp_host")}>
            {(attributes) => <input {...attributes} name="smtp-host" maxLength={255} value={draft.smtpHost} onChange={(event) => change({ smtpHost: event.target.value })} />}
          </Field>
          <Field label="Port" hint="Empty: 587, or 465 with TLS from the first byte" problem={reason("smtp_port")}>
            {(attributes) => <input {...attributes} name="smtp-port" type="number" min={1} max={65_535} value={draft.smtpPort || ""} onChange={(event) => change({ smtpPort: Number(event.target.value) })} />}
          </Field>
        </div>
        <Field label="Encryption" problem={reason("smtp_security")}>
          {(attributes) => (
            <select {...attributes} name="smtp-security" value={draft.smtpSecurity || SmtpSecurity.STARTTLS} onChange={(event) => change({ smtpSecurity: Number(event.target.value) })}>
              <option value={SmtpSecurity.STARTTLS}>STARTTLS</option>
              <option value={SmtpSecurity.TLS}>TLS from the first byte</option>
              <option value={SmtpSecurity.NONE}>none (a server on this machine alone)</option>
            </select>
          )}
        </Field>
        <div className="columns">
          <Field label="User" problem={reason("smtp_user")}>
            {(attributes) => <input {...attributes} name="smtp-user" autoComplete="off" maxLength={200} value={draft.smtpUser} onChange={(event) => change({ smtpUser: event.target.value })} />}
          </Field>
          <Field label="Password" hint={settings.smtpPasswordSet ? "Set. Empty: as it was" : "None yet"} problem={reason("smtp_password")}>
            {(attributes) => <input {...attributes} name="smtp-password" type="password" autoComplete="new-password" maxLength={200} value={draft.smtpPassword} onChange={(event) => change({ smtpPassword: event.target.value })} />}
          </Field>
        </div>
        <Field label="From" problem={reason("from_address")}>
          {(attributes) => <input {...attributes} name="from-address" type="email" maxLength={254} value={draft.fromAddress} onChange={(event) => change({ fromAddress: event.target.value })} />}
        </Field>
        <h2>SMS</h2>
        <Field label="Gateway" hint="An https address that takes the messages; empty: no SMS" problem={reason("sms_url")}>
          {(attributes) => <input {...attributes} name="sms-url" type="url" maxLength={400} value={draft.smsUrl} onChange={(event) => change({ smsUrl: event.target.value })} />}
        </Field>
        <div className="columns">
          <Field label="Token" hint={settings.smsTokenSet ? "Set. Empty: as it was" : "None yet"} problem={reason("sms_token")}>
            {(attributes) => <input {...attributes} type="password" autoComplete="new-password" maxLength={400} value={draft.smsToken} onChange={(event) => change({ smsToken: event.target.value })} />}
          </Field>
          <Field label="Sender" problem={reason("sms_sender")}>
            {(attributes) => <input {...attributes} maxLength={20} value={draft.smsSender} onChange={(event) => change({ smsSender: event.target.value })} />}
          </Field>
        </div>
        {settings.changedAt && (
          <p className="muted">
            Changed {dayAndTime(settings.changedAt)} by {settings.changedByName}
          </p>
        )}
        <ProblemNote error={save.error} />
        {maySet && (
          <div>
            <Button type="submit" look="primary" busy={save.isPending}>
              Save
            </Button>
          </div>
        )}
      </fieldset>
    </form>
  );
}
