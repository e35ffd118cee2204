import { useState } from "react";
import { send } from "../contract/call";
import { age, dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { ExchangeService } from "../generated/rtcc/exchange/v1/exchange_pb";
import { RegistryService, type Agreement, type ListedAgreement } from "../generated/rtcc/registry/v1/registry_pb";
import { VideoService } from "../generated/rtcc/video/v1/video_pb";
import { useLive } from "../live/store";
import { useOwnAgency, useRight } from "../session/store";
import { notify, notifyProblem } from "../ui/notices";
import { Page, Read, Table, Tabs } from "../ui/page";
import { Button, Dialog, Field, PartnerBadge, ProblemNote } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { GrantWizard } from "./grant-wizard";
import { NarrowDialog } from "./narrow-dialog";
import { changesBetween, inWords, isActive } from "./words";

type Tab = "by_us" | "with_us" | "viewers" | "changes";

export default function Sharing() {
  const [tab, setTab] = useState<Tab>("by_us");
  const [granting, setGranting] = useState(false);
  const mayGrant = useRight("agreement.grant");
  const agreements = useRead(RegistryService.method.listAgreements, { includeChanges: true }, { everyMs: 10_000 });
  const own = useOwnAgency();
  return (
    <Page
      title="Sharing"
      actions={
        mayGrant && (
          <Button look="primary" onClick={() => setGranting(true)} data-testid="grant">
            Share with an agency…
          </Button>
        )
      }
    >
      <Tabs
        label="Sharing"
        value={tab}
        onValue={setTab}
        tabs={[
          ["by_us", "Shared by us"],
          ["with_us", "Shared with us"],
          ["viewers", "Watching now"],
          ["changes", "Changes"],
        ]}
      />
      {tab === "viewers" ? (
        <ViewersNow />
      ) : (
        <Read query={agreements}>
          {(data) =>
            tab === "changes" ? (
              <Changes agreements={data.agreements} />
            ) : (
              <Agreements agreements={data.agreements.flatMap(({ agreement }) => (agreement && (agreement.grantorAgencyId === own) === (tab === "by_us") ? [agreement] : []))} byUs={tab === "by_us"} />
            )
          }
        </Read>
      )}
      {granting && <GrantWizard onClose={() => setGranting(false)} />}
    </Page>
  );
}

export function useNames() {
  const agencies = useLive((state) => state.agencies);
  const cameras = useLive((state) => state.cameras);
  const shared = useLive((state) => state.sharedCameras);
  const mayList = useRight("person.list");
  const people = useRead(RegistryService.method.listPeople, {}, { enabled: mayList });
  return {
    /** " by Ada Lind"; nothing for somebody of another agency, whom only an id names here. */
    person: (id: string) => {
      const name = people.data?.people.find((person) => person.personId === id)?.displayName;
      return name ? ` by ${name}` : "";
    },
    agency: (id: string) => agencies.get(id)?.name ?? id,
    camera: (id: string) => cameras.get(id)?.name ?? shared.get(id)?.camera?.name ?? id,
  };
}

function Agreements({ agreements, byUs }: { agreements: readonly Agreement[]; byUs: boolean }) {
  const now = useNow(30_000);
  const active = agreements.filter((agreement) => isActive(agreement, now));
  const ended = agreements.filter((agreement) => !isActive(agreement, now));
  if (!agreements.length)
    return <p className="card empty">{byUs ? "You share nothing. Nobody outside your agency sees any of your data." : "Nobody shares anything with you."}</p>;
  return (
    <div className="stack">
      {active.map((agreement) => (
        <AgreementCard key={agreement.agreementId} agreement={agreement} byUs={byUs} />
      ))}
      {ended.length > 0 && (
        <details>
          <summary className="secondary">Ended ({ended.length})</summary>
          <div className="stack" style={{ marginTop: 10 }}>
            {ended.map((agreement) => (
              <AgreementCard key={agreement.agreementId} agreement={agreement} byUs={byUs} ended />
            ))}
          </div>
        </details>
      )}
    </div>
  );
}

function AgreementCard({ agreement, byUs, ended = false }: { agreement: Agreement; byUs: boolean; ended?: boolean }) {
  const names = useNames();
  const partner = names.agency(byUs ? agreement.granteeAgencyId : agreement.grantorAgencyId);
  const [open, setOpen] = useState<"narrow" | "revoke" | "attest">();
  const mayNarrow = useRight("agreement.narrow");
  const mayRevoke = useRight("agreement.revoke");
  const mayAttest = useRight("agreement.attest") && !byUs && agreement.attestationRequired && !agreement.attestedAt;
  return (
    <article className={`card stack ${byUs ? "" : "shared-stripe"}`} data-testid="agreement" data-agreement-id={agreement.agreementId} data-active={!ended}>
      <div className="spread">
        <div className="row">
          <h2>{agreement.title || "Agreement"}</h2>
          <PartnerBadge agency={partner} />
          {ended && <span className="badge">ended</span>}
        </div>
        {!ended && byUs && (
          <div className="row">
            {mayNarrow && (
              <Button size="small" onClick={() => setOpen("narrow")}>
                Narrow…
              </Button>
            )}
            {mayRevoke && (
              <Button size="small" look="danger" onClick={() => setOpen("revoke")} data-testid="revoke">
                Revoke…
              </Button>
            )}
          </div>
        )}
        {!ended && mayAttest && (
          <Button size="small" look="primary" onClick={() => setOpen("attest")} data-testid="attest">
            Attest…
          </Button>
        )}
      </div>
      <ul className="secondary">
        {inWords(agreement, byUs ? partner : "Your agency", names.camera).map((sentence) => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
      {!ended && !byUs && agreement.alertKinds.length > 0 && <SubscriptionSwitch agreement={agreement} />}
      <p className="muted">
        Version {agreement.revision}, {dayAndTime(agreement.changedAt)}
        {names.person(agreement.changedBy)}
      </p>
      {open === "narrow" && <NarrowDialog agreement={agreement} onClose={() => setOpen(undefined)} />}
      {open === "attest" && <AttestDialog agreement={agreement} partner={partner} onClose={() => setOpen(undefined)} />}
      {open === "revoke" && <RevokeDialog agreement={agreement} partner={partner} onClose={() => setOpen(undefined)} />}
    </article>
  );
}

function AttestDialog({ agreement, partner, onClose }: { agreement: Agreement; partner: string; onClose(): void }) {
  const attest = useAct(
    () => send(RegistryService.method.attestAgreement, { agreementId: agreement.agreementId, revision: agreement.revision }),
    () => {
      notify(`Attested. What ${partner} grants flows now.`);
      onClose();
    },
  );
  const names = useNames();
  return (
    <Dialog
      title={`Attest “${agreement.title}”`}
      testId="attest-dialog"
      onClose={onClose}
      onSubmit={() => attest.mutate(undefined)}
      foot={
        <Button type="submit" look="primary" busy={attest.isPending} data-testid="attest-submit">
          Attest for our agency
        </Button>
      }
    >
      <p>You sign for your agency that it keeps to these terms. {partner} sees who signed and when.</p>
      <ul className="secondary">
        {inWords(agreement, "Your agency", names.camera).map((sentence) => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
      <ProblemNote error={attest.error} />
    </Dialog>
  );
}

function RevokeDialog({ agreement, partner, onClose }: { agreement: Agreement; partner: string; onClose(): void }) {
  const [reason, setReason] = useState("");
  const viewers = useRead(VideoService.method.listViewers, {});
  const watching = (viewers.data?.viewers ?? []).filter((viewer) => viewer.agreementId === agreement.agreementId).length;
  const revoke = useAct(
    () => send(RegistryService.method.revokeAgreement, { agreementId: agreement.agreementId, reason: reason.trim() }),
    () => {
      notify(`Revoked. ${partner} sees nothing of it any more.`);
      onClose();
    },
  );
  return (
    <Dialog
      title={`Revoke “${agreement.title}”`}
      testId="revoke-dialog"
      onClose={onClose}
      onSubmit={() => revoke.mutate(undefined)}
      foot={
        <Button type="submit" look="danger" busy={revoke.isPending} data-testid="revoke-submit">
          Revoke now
        </Button>
      }
    >
      <p className="note" data-tone="act">
        Within 5 seconds: {partner} gets no further alert, what was shared leaves their screens, and {watching === 1 ? "1 live view that runs now ends" : `${watching} live views that run now end`}. It can't be undone; you can grant anew.
      </p>
      <Field label="Reason" hint={`Told to ${partner} and kept in both logs`}>
        {(attributes) => <input {...attributes} name="reason" required maxLength={300} autoFocus value={reason} onChange={(event) => setReason(event.target.value)} />}
      </Field>
      <ProblemNote error={revoke.error} />
    </Dialog>
  );
}

/** A grant alone sends nothing: the grantee asks for its alerts. */
function SubscriptionSwitch({ agreement }: { agreement: Agreement }) {
  const query = useRead(ExchangeService.method.listSubscriptions, {});
  const mayCreate = useRight("subscription.create");
  const mayDelete = useRight("subscription.delete");
  const subscription = query.data?.subscriptions.find((one) => one.agreementId === agreement.agreementId);
  const change = useAct<undefined, unknown>(() =>
    subscription ? send(ExchangeService.method.deleteSubscription, { subscriptionId: subscription.subscriptionId }) : send(ExchangeService.method.createSubscription, { agreementId: agreement.agreementId, alertKinds: [] }),
  );
  if (!query.data) return null;
  return (
    <div className="row">
      <span className="badge" data-tone={subscription ? "live" : undefined}>
        {subscription ? "Alerts arrive here" : "Alerts are not subscribed"}
      </span>
      {(subscription ? mayDelete : mayCreate) && (
        <Button size="small" busy={change.isPending} onClick={() => change.mutate(undefined, { onError: notifyProblem })}>
          {subscription ? "Stop" : "Subscribe"}
        </Button>
      )}
    </div>
  );
}

function ViewersNow() {
  const query = useRead(VideoService.method.listViewers, {}, { everyMs: 3_000 });
  const names = useNames();
  const own = useOwnAgency();
  return (
    <Read query={query}>
      {(data) => (
        <Table
          label="Watching our cameras now"
          rowTestId="viewer-row"
          rows={data.viewers}
          rowKey={(viewer) => viewer.viewerId}
          empty="Nobody is watching any of your cameras."
          columns={[
            { title: "Camera", cell: (viewer) => <strong>{names.camera(viewer.cameraId)}</strong> },
            { title: "Who", cell: (viewer) => `${viewer.viewerName}${viewer.sound ? ", hears it" : ""}` },
            { title: "Agency", cell: (viewer) => (viewer.viewerAgencyId === own ? names.agency(own) : <PartnerBadge agency={names.agency(viewer.viewerAgencyId)} />) },
            { title: "For", cell: (viewer) => age(viewer.since, Date.now()) },
          ]}
        />
      )}
    </Read>
  );
}

function Changes({ agreements }: { agreements: readonly ListedAgreement[] }) {
  const names = useNames();
  const rows = agreements
    .flatMap(({ agreement, changes }) => changes.map((change) => ({ agreement, change })))
    .sort((one, other) => Number((other.change.changedAt?.seconds ?? 0n) - (one.change.changedAt?.seconds ?? 0n)));
  return (
    <Table
      label="Changes of agreements"
      rows={rows}
      rowKey={({ agreement, change }) => `${agreement?.agreementId}-${change.revision}`}
      empty="No agreement was ever made."
      columns={[
        { title: "When", cell: ({ change }) => <span className="mono nowrap">{dayAndTime(change.changedAt)}</span> },
        { title: "Agreement", cell: ({ agreement }) => <strong>{agreement?.title}</strong> },
        { title: "Between", cell: ({ agreement }) => `${names.agency(agreement?.grantorAgencyId ?? "")} → ${names.agency(agreement?.granteeAgencyId ?? "")}` },
        { title: "Who", cell: ({ change }) => names.person(change.changedBy).replace(/^ by /, "") },
        { title: "What", cell: ({ change }) => (change.revision <= 1 ? "granted" : changesBetween(change.oldValue, change.newValue).join("; ") || "–") },
      ]}
    />
  );
}
