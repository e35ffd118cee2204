import { defineConfig } from "vite";
import { lightContracts } from "./build-contracts";
import { fieldShell, lightMap, sharedWorkers } from "./build-plugins";

export default defineConfig({
  base: "/",
  plugins: [lightContracts(), lightMap(), sharedWorkers(), fieldShell()],
  // MapLibre's sources count on it: a field that is only declared must not wipe what a parent's constructor set.
  oxc: { typescript: { removeClassFieldsWithoutInitializer: true } },
  build: {
    target: "es2023",
    // Data URLs would need `font-src data:` and `img-src data:` in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 2000,
  },
  server: { proxy: { "/v1": { target: "http://127.0.0.1:8080", ws: true }, "/auth": "http://127.0.0.1:8080" } },
});
