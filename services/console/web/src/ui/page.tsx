import type { UseQueryResult } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { Button, Loading, ProblemNote } from "./parts";

export function Page({ title, actions, children }: { title: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <div className="page stack">
      <div className="spread">
        <h1>{title}</h1>
        <div className="row">{actions}</div>
      </div>
      {children}
    </div>
  );
}

/** The three states of a read: coming, refused or failed, there. */
export function Read<T>({ query, children }: { query: UseQueryResult<T>; children(data: T): ReactNode }) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error)
    return (
      <div className="stack">
        <ProblemNote error={query.error} />
        <div>
          <Button onClick={() => void query.refetch()}>Try again</Button>
        </div>
      </div>
    );
  return query.isFetching ? <Loading what="Reading" /> : null;
}

export interface Column<T> {
  title: string;
  cell(row: T): ReactNode;
}

export function Table<T>(props: { label: string; columns: readonly Column<T>[]; rows: readonly T[]; rowKey(row: T): string; empty: string; selected?: string | undefined; onSelect?(row: T): void; rowTestId?: string }) {
  if (!props.rows.length) return <p className="empty card">{props.empty}</p>;
  return (
    <div className="table-frame table-cards" tabIndex={0} role="region" aria-label={props.label}>
      <table>
        <thead>
          <tr>
            {props.columns.map((column) => (
              <th key={column.title} scope="col">
                {column.title || <span className="hidden-visually">Actions</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((row) => {
            const key = props.rowKey(row);
            return (
              <tr key={key} data-selected={key === props.selected || undefined} data-testid={props.rowTestId} data-id={key} onClick={props.onSelect && (() => props.onSelect?.(row))} style={props.onSelect && { cursor: "pointer" }}>
                {props.columns.map((column) => (
                  <td key={column.title} data-title={column.title}>
                    {column.cell(row)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

export function Tabs<T extends string>({ tabs, value, onValue, label }: { tabs: readonly (readonly [NoInfer<T>, string])[]; value: T; onValue: (value: NoInfer<T>) => void; label: string }) {
  return (
    <div className="tabs" role="tablist" aria-label={label}>
      {tabs.map(([id, title]) => (
        <button
          key={id}
          type="button"
          role="tab"
          aria-selected={id === value}
          tabIndex={id === value ? 0 : -1}
          onClick={() => onValue(id)}
          onKeyDown={(event) => {
            if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
            const at = tabs.findIndex(([tab]) => tab === value);
            const next = tabs[(at + (event.key === "ArrowRight" ? 1 : tabs.length - 1)) % tabs.length];
            if (next) onValue(next[0]);
            (event.currentTarget.parentElement?.querySelectorAll<HTMLElement>("[role=tab]")[tabs.findIndex(([tab]) => tab === next?.[0])] ?? null)?.focus();
          }}
        >
          {title}
        </button>
      ))}
    </div>
  );
}

/** A secret that is shown once. */
export function OnceSecret({ label, value, hint }: { label: string; value: string; hint: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <div className="note stack" data-tone="act" data-testid="once-secret">
      <strong>{label}</strong>
      <code style={{ overflowWrap: "anywhere" }}>{value}</code>
      <div className="row">
        <Button size="small" onClick={() => void navigator.clipboard.writeText(value).then(() => setCopied(true))}>
          {copied ? "Copied" : "Copy"}
        </Button>
        <span className="muted">{hint}</span>
      </div>
    </div>
  );
}
