import { useEffect, useId, useRef, type ButtonHTMLAttributes, type ReactNode } from "react";
import { explain, ProblemError } from "../contract/problem";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: "primary" | "danger" | "quiet";
  size?: "small" | "large";
  busy?: boolean;
}

export function Button({ look, size, busy, disabled, children, type = "button", ...rest }: ButtonProps) {
  return (
    <button {...rest} type={type} className={`button ${rest.className ?? ""}`} data-look={look} data-size={size} disabled={disabled || busy} aria-busy={busy || undefined}>
      {busy && <span className="spinner" aria-hidden="true" />}
      {children}
    </button>
  );
}

/** A native modal dialog: the browser keeps focus inside, makes the rest inert, and closes on Escape. */
export function Dialog(props: { title: string; onClose(): void; children: ReactNode; foot?: ReactNode; wide?: boolean; testId?: string; onSubmit?(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    // The browser would focus the close button: it comes first.
    element?.querySelector<HTMLElement>(".dialog-body :is(input:not([type=checkbox], [type=radio], [type=file]), select, textarea)")?.focus();
    return () => element?.close();
  }, []);
  const content = (
    <>
      <header className="dialog-head">
        <h2 id={titleId}>{props.title}</h2>
        <Button look="quiet" size="small" onClick={props.onClose} aria-label="Close">
          ✕
        </Button>
      </header>
      <div className="dialog-body">{props.children}</div>
      {props.foot && <footer className="dialog-foot">{props.foot}</footer>}
    </>
  );
  return (
    <dialog
      ref={dialog}
      aria-labelledby={titleId}
      data-wide={props.wide || undefined}
      data-testid={props.testId}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
      onKeyDown={(event) => event.stopPropagation()}
    >
      {props.onSubmit ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            props.onSubmit?.();
          }}
        >
          {content}
        </form>
      ) : (
        content
      )}
    </dialog>
  );
}

export function Field(props: { label: string; hint?: string; problem?: string | undefined; children(attributes: { id: string; "aria-describedby"?: string; "aria-invalid"?: true; className: string }): ReactNode }) {
  const id = useId();
  const described = props.problem || props.hint ? `${id}-text` : undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{props.label}</label>
      {props.children({ id, className: "input", ...(described ? { "aria-describedby": described } : {}), ...(props.problem ? { "aria-invalid": true as const } : {}) })}
      {props.problem ? (
        <span id={described} className="problem">
          {props.problem}
        </span>
      ) : (
        props.hint && <small id={described}>{props.hint}</small>
      )}
    </div>
  );
}

/** What went wrong, and what to do. Empty when nothing did. */
export function ProblemNote({ error }: { error: unknown }) {
  if (!error) return null;
  const violations = error instanceof ProblemError ? error.violations : [];
  return (
    <div className="note" data-tone="bad" role="alert" data-testid="problem">
      {explain(error)}
      {violations.length > 1 && (
        <ul>
          {violations.map((violation) => (
            <li key={violation.field}>
              <code>{violation.field}</code> {violation.reason}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

export function PartnerBadge({ agency }: { agency: string }) {
  return (
    <span className="badge" data-tone="partner" title={`Shared by ${agency}`}>
      ⇄ {agency}
    </span>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <div className="empty row" role="status" style={{ justifyContent: "center" }}>
      <span className="spinner" aria-hidden="true" /> {what}
    </div>
  );
}

/** Shape, numeral and colour: severity is never told by colour alone. */
export function SeverityMark({ severity, size = 26, pulse = false }: { severity: number; size?: number; pulse?: boolean }) {
  const name = ["", "life", "urgent", "caution", "information"][severity] ?? "";
  const shape = [
    null,
    <path key="1" d="M9 2h10l7 7v10l-7 7H9l-7-7V9z" />,
    <path key="2" d="M14 2.5 26.5 25.5H1.5z" />,
    <path key="3" d="M14 1.5 26.5 14 14 26.5 1.5 14z" />,
    <circle key="4" cx="14" cy="14" r="11" />,
  ][severity];
  const hollow = severity === 4;
  return (
    <svg width={size} height={size} viewBox="0 0 28 28" role="img" aria-label={`Severity ${severity}, ${name}`} data-pulse={pulse || undefined} className="severity">
      <g fill={hollow ? "none" : `var(--s${severity})`} stroke={`var(--s${severity})`} strokeWidth={hollow ? 2.5 : 1} strokeLinejoin="round">
        {shape}
      </g>
      <text x="14" y={severity === 2 ? 22.5 : 19} textAnchor="middle" fontSize={severity === 2 ? 13 : 14.5} fontWeight="700" fill={hollow ? "var(--s4)" : "var(--on-severity)"}>
        {severity}
      </text>
    </svg>
  );
}
