import { defineConfig } from "vite";

export default defineConfig({
  base: "/",
  build: {
    target: "es2023",
    // Data URLs would need `font-src data:` and `img-src data:` in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 2000,
  },
  worker: { format: "es" },
  server: { proxy: { "/v1": { target: "http://127.0.0.1:8080", ws: true }, "/auth": "http://127.0.0.1:8080" } },
});
