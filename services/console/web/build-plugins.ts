/** What the build of the console does beyond Vite's own: a light MapLibre, workers that share the page's code, the field view's offline list. */
import type { Plugin, Rollup } from "vite";

const here = (path: string) => decodeURIComponent(new URL(path, import.meta.url).pathname);
const MAPLIBRE = here("./node_modules/maplibre-gl/src/");
const MAPLIBRE_PACKAGE = here("./node_modules/maplibre-gl/package.json");
/** Parts of MapLibre that no map of ours uses, and what stands for them. */
const UNUSED = [
  ["/vector_tile_mlt.ts", here("./src/map/library/no-mlt.ts")],
  ["/projection_factory.ts", here("./src/map/library/flat-projection.ts")],
  ["/validate_style.ts", here("./src/map/library/no-validation.ts")],
] as const;
/** Kinds of layers and sources that no style of ours has: what they export throws when it is used. The map's own tests would say so. */
const EMPTY =
  /\/(draw_(heatmap|hillshade|color_relief|fill_extrusion|terrain|debug)|dem_data|(heatmap|hillshade|color_relief|fill_extrusion)_(bucket|program|style_layer|style_layer_properties\.g)|(video|canvas|raster_tile|raster_dem_tile)_source|render\/terrain|render\/terrain_coverage|terrain_tile_manager|render_to_texture|rtt_fingerprint|ui\/hash|logo_control)\.ts$/;
const EMPTY_SHADERS = /\/glsl\/(heatmap|hillshade|color_relief|fill_extrusion|terrain)[a-z_]*\.(vertex|fragment)\.glsl\.g\.ts$/;

/**
 * MapLibre from its sources instead of its two finished files, which share nothing: what the map doesn't use falls away, and what page and
 * worker both need is one file (docs/decisions/0006-size-of-the-console.md).
 */
export function lightMap(): Plugin {
  return {
    name: "light-map",
    enforce: "pre",
    resolveId(source, importer) {
      if (source === "maplibre-gl") return { id: `${MAPLIBRE}index.ts`, moduleSideEffects: false };
      if (source.startsWith("maplibre-gl-source/")) return { id: MAPLIBRE + source.slice("maplibre-gl-source/".length) };
      return (importer?.startsWith(MAPLIBRE) && UNUSED.find(([end]) => source.endsWith(end))?.[1]) || null;
    },
    transform(code, id) {
      // The sources want their own version and would bring the whole file.
      if (id === MAPLIBRE_PACKAGE) return { code: `export default ${JSON.stringify({ version: (JSON.parse(code) as { version: string }).version })};`, moduleSideEffects: false, moduleType: "js" };
      if (id.startsWith(MAPLIBRE) && EMPTY_SHADERS.test(id)) return { code: 'export default "";', moduleSideEffects: false };
      if (id.startsWith(MAPLIBRE) && EMPTY.test(id)) return { code: emptied(code), moduleSideEffects: false };
      // The package declares side effects for all its sources. Those that have any register a class that page and worker send each other.
      return id.startsWith(MAPLIBRE) && !/\bregister\(/.test(code) && !id.endsWith("/source/worker.ts") ? { moduleSideEffects: false } : null;
    },
  };
}

/** The same exports, each of which says that it is not there. */
function emptied(code: string): string {
  const declared = [...code.matchAll(/^export (?:abstract )?(?:class|function|const|let) (\w+)/gm)].map(([, name = ""]) => name);
  const listed = [...code.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, names = ""]) => names.split(",").map((name) => name.trim()));
  // A function may be called, constructed and asked for with instanceof. `isHeatmapStyleLayer` and its like are asked of every layer.
  return [...declared, ...listed].filter((name) => name && !name.startsWith("type ")).map((name) => `export function ${name}() { ${/^is[A-Z]/.test(name) ? "return false;" : `throw new Error("${name} is not part of this build");`} }`).join("\n");
}

/** `import address from "./x.worker?address"`: the worker becomes an entry of the page's own build, so both load the same chunks. */
export function sharedWorkers(): Plugin {
  const suffix = "?address";
  const prefix = "\0address-of:";
  let serving = false;
  return {
    name: "shared-workers",
    enforce: "pre",
    configResolved: (config) => void (serving = config.command === "serve"),
    async resolveId(source, importer) {
      if (!source.endsWith(suffix)) return null;
      const found = await this.resolve(source.slice(0, -suffix.length), importer);
      return found && prefix + found.id;
    },
    load(id) {
      if (!id.startsWith(prefix)) return null;
      const file = id.slice(prefix.length);
      if (serving) return `export default ${JSON.stringify(`/@fs${file}`)};`;
      const reference = this.emitFile({ type: "chunk", id: file, name: file.replace(/^.*\/|\.ts$/g, "") });
      return `export default import.meta.ROLLUP_FILE_URL_${reference};`;
    },
  };
}

const SHELL_WORKER = "field-shell.js";
/** What an officer's phone opens, directly or by import(). */
const FIELD_ENTRIES = ["/src/main.tsx", "/src/shell/signed-in.tsx", "/src/session/sign-in.tsx", "/src/field/field.tsx", "/src/field/offline.tsx", "/src/map/engine.ts", "/src/map/map.worker.ts", "/src/live/live.worker.ts"];
const ALWAYS = ["/icon.svg", "/console.webmanifest", "/map/helsinki.pmtiles", "/map/helsinki.layers.json"];

/** Emits the field view's service worker at the root, with the list of files it keeps. */
export function fieldShell(): Plugin {
  return {
    name: "field-shell",
    apply: "build",
    // After Vite has thrown away the chunks that held styles alone: one file that isn't there, and the worker is never installed.
    enforce: "post",
    buildStart() {
      this.emitFile({ type: "chunk", id: here("./src/field/shell.worker.ts"), fileName: SHELL_WORKER });
    },
    generateBundle(_, bundle) {
      const worker = bundle[SHELL_WORKER];
      if (worker?.type !== "chunk" || worker.imports.length) this.error("the field view's service worker must be one file without imports");
      const files = [...ALWAYS, ...filesOf(bundle)].sort();
      worker.code = worker.code.replace("__SHELL_FILES__", JSON.stringify(files).replaceAll('"', '\\"')).replace("__SHELL_DIGEST__", digest(files));
    },
  };
}

/** All scripts and styles that the field entries import, and the fonts of Latin text. */
function filesOf(bundle: Rollup.OutputBundle): string[] {
  const found = new Set<string>();
  const take = (name: string) => {
    const chunk = bundle[name];
    if (found.has(`/${name}`) || chunk?.type !== "chunk") return;
    found.add(`/${name}`);
    for (const style of chunk.viteMetadata?.importedCss ?? []) found.add(`/${style}`);
    for (const imported of chunk.imports) take(imported);
  };
  for (const output of Object.values(bundle)) {
    const facade = output.type === "chunk" ? (output.facadeModuleId ?? "") : "";
    if (FIELD_ENTRIES.some((entry) => facade.endsWith(entry)) || facade.endsWith("/index.html")) take(output.fileName);
    if (/-latin-wght-.*\.woff2$/.test(output.fileName)) found.add(`/${output.fileName}`);
  }
  return [...found];
}

/** Names carry hashes of their content, so the list tells one build from the next. FNV-1a, 32 bit. */
function digest(files: readonly string[]): string {
  let hash = 0x811c9dc5;
  for (const character of files.join("\n")) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return (hash >>> 0).toString(16);
}
