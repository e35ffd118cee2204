import { useEffect, useState } from "react";
import { explain } from "../contract/problem";
import { snapshot } from "./snapshot";

const EVERY_MS = 1_000;

/** A picture a second over HTTPS: where the network lets no live video through, or where as many views are live as this device takes. */
export function Stills({ cameraId, partner, name, onProblem }: { cameraId: string; partner: boolean; name: string; onProblem(reason: string): void }) {
  const [url, setUrl] = useState("");
  useEffect(() => {
    const stop = new AbortController();
    let shown = "";
    const again = async (): Promise<void> => {
      try {
        const picture = await snapshot(cameraId, partner, stop.signal);
        if (stop.signal.aborted) return;
        URL.revokeObjectURL(shown);
        shown = URL.createObjectURL(picture);
        setUrl(shown);
        onProblem("");
      } catch (error) {
        if (stop.signal.aborted) return;
        // What was seen before must not look as if it went on.
        setUrl("");
        onProblem(explain(error));
      }
      timer = setTimeout(() => void again(), EVERY_MS);
    };
    let timer = setTimeout(() => void again(), 0);
    return () => {
      stop.abort();
      clearTimeout(timer);
      URL.revokeObjectURL(shown);
    };
  }, [cameraId, partner]);
  return url ? <img className="tile-still" src={url} alt={`A picture a second: ${name}`} data-testid="still" /> : null;
}
