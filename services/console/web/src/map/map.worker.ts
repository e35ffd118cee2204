/** MapLibre's own worker, from its sources: it shares its code with the page. */
// @ts-expect-error MapLibre's sources ship without their declarations; the build reads them, not the type checker
import "maplibre-gl-source/source/worker.ts";
