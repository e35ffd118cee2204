/** What the build's own plugins ask of Node. */
declare module "node:fs" {
  export function readFileSync(path: string): Uint8Array<ArrayBuffer>;
  export function readFileSync(path: string, encoding: "utf-8"): string;
  export function readdirSync(path: string, options: { recursive: true; encoding: "utf-8" }): string[];
}
