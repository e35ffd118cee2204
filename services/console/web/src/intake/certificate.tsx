import { send } from "../contract/call";
import { dayAndTime } from "../contract/time";
import { useAct } from "../contract/use-call";
import { IntakeService } from "../generated/rtcc/intake/v1/intake_pb";
import type { Source } from "../generated/rtcc/registry/v1/registry_pb";
import { OnceSecret } from "../ui/page";
import { Button, Dialog, ProblemNote } from "../ui/parts";

/** A client certificate for a TAK server or device; the one before is void from then on. */
export function Certificate({ source, onClose }: { source: Source; onClose(): void }) {
  const issue = useAct(() => send(IntakeService.method.issueSourceCertificate, { sourceId: source.sourceId }));
  const issued = issue.data;
  return (
    <Dialog title={`Certificate of ${source.name}`} onClose={onClose} testId="certificate">
      {issued ? (
        <>
          <p className="secondary">
            {issued.address ? `Connect by TLS to ${issued.address}.` : "The TLS listener is switched off: set RTCC_INTAKE_COT_LISTEN."} Valid until {dayAndTime(issued.validUntil)}.
          </p>
          <OnceSecret label="Certificate and private key (PEM)" value={`${issued.certificate}\n${issued.privateKey}`} hint="The key is shown this once." />
          <details>
            <summary>Authority that signs the server</summary>
            <pre className="excerpt">{issued.authority}</pre>
          </details>
        </>
      ) : (
        <>
          <p className="secondary">A new certificate replaces the one in use, which is refused from then on.</p>
          <ProblemNote error={issue.error} />
          <div>
            <Button look="primary" busy={issue.isPending} onClick={() => issue.mutate(undefined)}>
              Issue a certificate
            </Button>
          </div>
        </>
      )}
    </Dialog>
  );
}
