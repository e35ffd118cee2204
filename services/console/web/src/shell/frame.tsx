import { Suspense, useEffect, useMemo, useRef } from "react";
import { isUnacknowledged } from "../alerts/queue";
import { armSound, silence } from "../alerts/sound";
import { span } from "../contract/time";
import { useLive } from "../live/store";
import { usePurpose } from "../purpose/store";
import { lockSession, signOut } from "../session/auth";
import { useSession } from "../session/store";
import { Icon } from "../ui/icons";
import { Notices } from "../ui/notices";
import { Button, Loading } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { Boundary } from "./boundary";
import { useDesk } from "./desk";
import { Help } from "./help";
import { useKeys } from "./keys";
import { Palette } from "./palette";
import { follow, go } from "./router";
import { permitted, screenAt } from "./screens";

export function Frame({ path }: { path: string }) {
  const rights = useSession((state) => state.session?.rights);
  const open = useMemo(() => permitted(rights ?? []), [rights]);
  const screen = screenAt(path);
  const allowed = screen && open.includes(screen);
  const theme = useDesk((state) => state.theme);
  const rail = useRef<HTMLElement>(null);
  useEffect(() => {
    document.title = `${screen?.title ?? "Not found"} – OpenRTCC`;
    // On a phone, and on a low screen, not all of them have room at once.
    rail.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [screen]);
  useKeys({
    "Control+k": () => useDesk.setState({ paletteOpen: true }),
    "?": () => useDesk.setState({ helpOpen: true }),
    n: () => useDesk.getState().setTheme(theme === "dark" ? "day" : "dark"),
    ...Object.fromEntries(open.map((entry) => [`g ${entry.letter}`, () => go(entry.path)])),
  });
  const Component = screen?.component;
  return (
    <div className="frame">
      <a className="button skip" href="#main">
        Skip to content
      </a>
      <Header />
      <nav ref={rail} className="rail" aria-label="Screens">
        {open.map((entry) => (
          <a key={entry.path} href={entry.path} onClick={follow} aria-current={entry === screen ? "page" : undefined} title={`${entry.title} (G ${entry.letter.toUpperCase()})`} data-primary={entry.primary}>
            <Icon name={entry.icon} />
            <span>{entry.short}</span>
          </a>
        ))}
      </nav>
      <main id="main" className="main" tabIndex={-1}>
        <LinkBanner />
        <Boundary path={path}>
          <Suspense fallback={<Loading what="Loading" />}>{allowed && Component ? <Component key={screen.component === screenAt("/map")?.component ? "desk" : screen.path} /> : <NotHere known={screen !== undefined} />}</Suspense>
        </Boundary>
      </main>
      <Palette screens={open} />
      <Help screens={open} />
      <Notices />
    </div>
  );
}

function NotHere({ known }: { known: boolean }) {
  return (
    <div className="page stack">
      <h1>{known ? "Not part of your role" : "No such page"}</h1>
      <p className="secondary">{known ? "An administrator of your agency can give you a role that includes it." : "The address may be misspelt."}</p>
      <p>
        <a href="/" className="button" onClick={follow}>
          To your start page
        </a>
      </p>
    </div>
  );
}

function Header() {
  const session = useSession((state) => state.session);
  const unacknowledged = useLive((state) => {
    let count = 0;
    for (const item of state.alerts.values()) if (item.alert.severity === 1 && isUnacknowledged(item)) count++;
    return count;
  });
  const soundArmed = useDesk((state) => state.soundArmed);
  const theme = useDesk((state) => state.theme);
  return (
    <header className="header">
      <a href="/map" onClick={follow} className="header-mark" aria-label="OpenRTCC, live map">
        <img src="/icon.svg" alt="" width="24" height="24" />
        <strong>OpenRTCC</strong>
      </a>
      <span className="header-agency ellipsis">{session?.person.agency_name || session?.person.agency_id}</span>
      {session?.demo && <span className="badge phone-less">demo</span>}
      <span className="grow" />
      {unacknowledged > 0 && (
        <span className="badge" data-tone="bad" role="status">
          {unacknowledged} <span className="wide-only">unacknowledged</span> S1
        </span>
      )}
      <PurposeChip />
      <Button look="quiet" size="small" aria-pressed={soundArmed} onClick={() => (soundArmed ? silence() : void armSound())} title={soundArmed ? "Sound is armed" : "Browsers stay silent until this is pressed once a shift"}>
        <Icon name={soundArmed ? "sound" : "muted"} size={16} />
        <span className="wide-only">{soundArmed ? "Audio armed" : "Arm audio"}</span>
      </Button>
      <LinkState />
      <Button look="quiet" size="small" className="wide-only" onClick={() => useDesk.setState({ paletteOpen: true })}>
        <kbd>Ctrl K</kbd>
      </Button>
      <Button look="quiet" size="small" aria-label={theme === "dark" ? "Day theme" : "Dark theme"} onClick={() => useDesk.getState().setTheme(theme === "dark" ? "day" : "dark")}>
        <Icon name="theme" size={16} />
      </Button>
      <details className="menu">
        <summary className="button" data-look="quiet" data-size="small">
          {session?.person.display_name}
        </summary>
        <div className="menu-body">
          <p className="muted">{session?.person.roles.join(", ")}</p>
          <a className="button" data-look="quiet" href="/audit?view=own" onClick={follow}>
            What I did
          </a>
          <Button look="quiet" onClick={() => void lockSession().then(() => useSession.getState().lock())}>
            Lock
          </Button>
          <Button look="quiet" onClick={() => void signOut().finally(() => useSession.getState().load())} data-testid="sign-out">
            Sign out
          </Button>
        </div>
      </details>
    </header>
  );
}

function PurposeChip() {
  const standing = usePurpose((state) => state.standing);
  if (!standing) return null;
  return (
    <span className="badge purpose-chip" data-tone="live" title="Stands in the audit log of what you ask for">
      <span className="ellipsis">
        {standing.purpose} · {standing.caseNumber}
      </span>
      <button className="chip-close" type="button" aria-label="End this purpose" onClick={() => usePurpose.getState().clear()}>
        ✕
      </button>
    </span>
  );
}

function LinkState() {
  const link = useLive((state) => state.link);
  const text = link.state === "live" ? (link.roundTripMs === undefined ? "live" : `live ${Math.max(1, Math.round(link.roundTripMs))} ms`) : { refused: "paused", connecting: "connecting", down: "reconnecting" }[link.state];
  return (
    <span className="badge mono" data-tone={link.state === "live" ? undefined : "act"} data-testid="link-state" data-state={link.state}>
      {text}
    </span>
  );
}

/** Old pictures say how old they are. */
function LinkBanner() {
  const link = useLive((state) => state.link);
  const now = useNow(1000, link.state !== "live");
  const revocations = useLive((state) => state.revocations);
  const agreements = useLive((state) => state.agreements);
  const seconds = (now - link.sinceMs) / 1000;
  const told = link.state !== "live" && link.sinceMs > 0 && seconds > 1.5;
  return (
    <>
      {told && (
        <div className="banner" data-tone="act" role="status" data-testid="link-banner">
          {link.state === "refused" ? `Live picture ended: ${link.reason}.` : link.state === "connecting" ? "Connecting to the live picture." : `Reconnecting. What you see is ${span(seconds)} old${link.reason ? ` (${link.reason})` : ""}.`}
        </div>
      )}
      {revocations[0] && (
        <div className="banner" role="status" data-testid="revoked-banner">
          {agreements.get(revocations[0].agreementId)?.title || "A sharing agreement"} ended{revocations[0].reason ? `: ${revocations[0].reason}` : ""}. What it showed has left this screen.
          <Button size="small" look="quiet" onClick={() => useLive.setState({ revocations: [] })}>
            Dismiss
          </Button>
        </div>
      )}
    </>
  );
}
