import { defineConfig } from "vitest/config";
import { lightContracts } from "./build-contracts";

export default defineConfig({ plugins: [lightContracts({ everyMethod: true })], test: { environment: "node", include: ["src/**/*.test.ts"] } });
