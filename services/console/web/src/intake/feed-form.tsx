import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IntakeService, type SourceFeed } from "../generated/rtcc/intake/v1/intake_pb";
import type { Source } from "../generated/rtcc/registry/v1/registry_pb";
import { useRight } from "../session/store";
import { Read } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";

/** Where a source is fetched from, and how the last try went. */
export function FeedForm({ source, onClose }: { source: Source; onClose(): void }) {
  const query = useRead(IntakeService.method.getSourceFeed, { sourceId: source.sourceId });
  return (
    <Dialog title={`Feed of ${source.name}`} onClose={onClose} testId="feed-form">
      {/* What was read before stands until the answer is there: then the fields begin anew with it. */}
      <Read query={query}>{(data) => <Fields key={`${data.feed?.url} ${data.feed?.everyS} ${data.feed?.headerName}`} sourceId={source.sourceId} feed={data.feed} onClose={onClose} />}</Read>
    </Dialog>
  );
}

function Fields({ sourceId, feed, onClose }: { sourceId: string; feed: SourceFeed | undefined; onClose(): void }) {
  const maySet = useRight("source.set_feed");
  const [url, setUrl] = useState(feed?.url ?? "");
  const [everyS, setEveryS] = useState(String(feed?.everyS || 15));
  const [headerName, setHeaderName] = useState(feed?.headerName ?? "");
  const [headerValue, setHeaderValue] = useState("");
  const save = useAct(() => send(IntakeService.method.setSourceFeed, { sourceId, feed: { url: url.trim(), everyS: Number(everyS), headerName: headerName.trim(), headerValue } }), onClose);
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(undefined);
      }}
    >
      {feed?.problem && (
        <p className="note" data-tone="bad">
          The last try failed: {feed.problem}
        </p>
      )}
      {feed?.fetchedAt && !feed.problem && (
        <p className="note" data-tone="good">
          {feed.vehicles} vehicles at {dayAndTime(feed.fetchedAt)}
        </p>
      )}
      <Field label="Address" hint="https; http only to hosts that the installation's settings name" problem={reason("url")}>
        {(attributes) => <input {...attributes} name="feed-url" type="url" required maxLength={500} value={url} onChange={(event) => setUrl(event.target.value)} />}
      </Field>
      <Field label="Every, seconds" problem={reason("every_s")}>
        {(attributes) => <input {...attributes} name="every" type="number" min={5} max={3600} value={everyS} onChange={(event) => setEveryS(event.target.value)} />}
      </Field>
      <div className="columns">
        <Field label="Header of the key" hint="Empty: none is needed" problem={reason("header_name")}>
          {(attributes) => <input {...attributes} name="header-name" maxLength={60} placeholder="x-api-key" value={headerName} onChange={(event) => setHeaderName(event.target.value)} />}
        </Field>
        <Field label="Key" hint="Goes in and never comes out" problem={reason("header_value")}>
          {(attributes) => <input {...attributes} name="header-value" type="password" autoComplete="off" maxLength={400} value={headerValue} onChange={(event) => setHeaderValue(event.target.value)} />}
        </Field>
      </div>
      <ProblemNote error={save.error} />
      {maySet && (
        <div>
          <Button type="submit" look="primary" busy={save.isPending}>
            Save
          </Button>
        </div>
      )}
    </form>
  );
}
