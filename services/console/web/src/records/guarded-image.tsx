import { useEffect, useState } from "react";
import { exchange } from "../contract/exchange";
import { explain } from "../contract/problem";

/** A picture that is asked for like any call: with purpose where the contract wants one. Held in memory only, and let go with the page. */
export function GuardedImage({ path, what, className, withPurpose = true }: { path: string; what: string; className?: string; withPurpose?: boolean }) {
  const [address, setAddress] = useState("");
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const ending = new AbortController();
    let made = "";
    exchange({ verb: "GET", path }, { withPurpose, what, signal: ending.signal })
      .then(async (answer) => {
        const blob = await answer.blob();
        if (ending.signal.aborted) return;
        made = URL.createObjectURL(blob);
        setAddress(made);
      })
      .catch((error: unknown) => {
        if (!ending.signal.aborted) setProblem(explain(error));
      });
    return () => {
      ending.abort();
      if (made) URL.revokeObjectURL(made);
    };
  }, [path, what, withPurpose]);
  if (problem) return <p className={`muted ${className ?? ""}`}>No picture: {problem}</p>;
  return address ? <img src={address} alt={what} className={className} /> : <div className={className} role="status" aria-label={`Loading: ${what}`} />;
}
