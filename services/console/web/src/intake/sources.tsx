import { create } from "@bufbuild/protobuf";
import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { useAct, useRead } from "../contract/use-call";
import { RegistryService, SourceSchema, type Source } from "../generated/rtcc/registry/v1/registry_pb";
import { useOwnAgency, useRight } from "../session/store";
import { notifyProblem } from "../ui/notices";
import { OnceSecret, Page, Read, Table } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { ADAPTERS, adapterOf, reachedAt } from "./adapters";
import { Certificate } from "./certificate";
import { FeedForm } from "./feed-form";
import { MappingEditor } from "./mapping-editor";

export default function Sources() {
  const query = useRead(RegistryService.method.listSources, {});
  const mayCreate = useRight("source.create");
  const mayEnable = useRight("source.set_enabled");
  const mayMap = useRight("source.read_mapping");
  const mayFeed = useRight("source.read_feed");
  const mayCertify = useRight("source.issue_certificate");
  const [creating, setCreating] = useState(false);
  const [opened, setOpened] = useState<{ source: Source; what: "mapping" | "feed" | "certificate" }>();
  const enable = useAct(({ sourceId, enabled }: { sourceId: string; enabled: boolean }) => send(RegistryService.method.setSourceEnabled, { sourceId, enabled }));
  return (
    <Page
      title="Sources"
      actions={
        mayCreate && (
          <Button look="primary" onClick={() => setCreating(true)}>
            New source
          </Button>
        )
      }
    >
      <p className="secondary">Systems that send signed messages to this agency. What can't be understood waits in the quarantine.</p>
      <Read query={query}>
        {(data) => (
          <Table
            label="Sources"
            rowTestId="source-row"
            rows={data.sources}
            rowKey={(source) => source.sourceId}
            empty="No source yet."
            columns={[
              { title: "Name", cell: (source) => <strong>{source.name}</strong> },
              { title: "Sends", cell: (source) => adapterOf(source.adapter).title },
              { title: "Comes by", cell: (source) => <code>{reachedAt(source.adapter, source.sourceId)}</code> },
              { title: "State", cell: (source) => (source.enabled ? "in use" : <span className="badge" data-tone="act">switched off</span>) },
              {
                title: "",
                cell: (source) => (
                  <span className="row">
                    {source.adapter === "mapped" && mayMap && (
                      <Button size="small" onClick={() => setOpened({ source, what: "mapping" })} data-testid="edit-mapping">
                        Mapping…
                      </Button>
                    )}
                    {adapterOf(source.adapter).way === "fetched" && mayFeed && (
                      <Button size="small" onClick={() => setOpened({ source, what: "feed" })}>
                        Feed…
                      </Button>
                    )}
                    {adapterOf(source.adapter).way === "certificate" && mayCertify && (
                      <Button size="small" onClick={() => setOpened({ source, what: "certificate" })}>
                        Certificate…
                      </Button>
                    )}
                    {mayEnable && (
                    <Button size="small" onClick={() => enable.mutate({ sourceId: source.sourceId, enabled: !source.enabled }, { onError: notifyProblem })} aria-label={`${source.enabled ? "Switch off" : "Switch on"} ${source.name}`}>
                      {source.enabled ? "Switch off" : "Switch on"}
                    </Button>
                    )}
                  </span>
                ),
              },
            ]}
          />
        )}
      </Read>
      {opened?.what === "mapping" && <MappingEditor source={opened.source} onClose={() => setOpened(undefined)} />}
      {opened?.what === "feed" && <FeedForm source={opened.source} onClose={() => setOpened(undefined)} />}
      {opened?.what === "certificate" && <Certificate source={opened.source} onClose={() => setOpened(undefined)} />}
      {creating && <SourceForm onClose={() => setCreating(false)} />}
    </Page>
  );
}

function SourceForm({ onClose }: { onClose(): void }) {
  const agencyId = useOwnAgency();
  const [name, setName] = useState("");
  const [adapter, setAdapter] = useState("plate_read");
  const save = useAct(() => send(RegistryService.method.createSource, { source: create(SourceSchema, { agencyId, name: name.trim(), adapter, enabled: true }) }));
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  return (
    <Dialog title="New source" onClose={onClose} onSubmit={() => (save.data ? onClose() : save.mutate(undefined))} foot={<Button type="submit" look="primary" busy={save.isPending}>{save.data ? "Done" : "Create"}</Button>}>
      {save.data ? (
        <>
          <OnceSecret label={`Signing secret of ${name}`} value={save.data.secret} hint="Shown once. Enter it in the sending system." />
          <p className="secondary">
            It comes by <code>{reachedAt(adapter, save.data.source?.sourceId ?? "").replace("POST ", `POST ${location.origin}`)}</code>
          </p>
        </>
      ) : (
        <>
          <Field label="Name" problem={reason("name")}>
            {(attributes) => <input {...attributes} required maxLength={120} autoFocus value={name} onChange={(event) => setName(event.target.value)} />}
          </Field>
          <Field label="Sends" problem={reason("adapter")}>
            {(attributes) => (
              <select {...attributes} value={adapter} onChange={(event) => setAdapter(event.target.value)}>
                {ADAPTERS.map(({ id, title }) => (
                  <option key={id} value={id}>
                    {title}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <ProblemNote error={save.error} />
        </>
      )}
    </Dialog>
  );
}
