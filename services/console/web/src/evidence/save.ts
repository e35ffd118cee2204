import { exchange } from "../contract/exchange";

/** Fetches a finished export and lets the browser save it. */
export async function saveExport(exportId: string): Promise<void> {
  const answer = await exchange({ verb: "GET", path: `/v1/exports/${encodeURIComponent(exportId)}/file` }, { withPurpose: true });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = `export-${exportId}.zip`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A size for people: 12 kB, 3.4 MB. */
export const sizeText = (bytes: number): string => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1000))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
