import { expect, test } from "vitest";
import { mayKeep, rangeOf } from "./shell-cache";

const ours = "https://rtcc.example";
const get = (path: string, part: { method?: string; mode?: string } = {}) => ({ method: "GET", mode: "cors", url: ours + path, ...part });

test("only the shell and the streets are kept", () => {
  expect(mayKeep(get("/assets/index-1.js"), ours)).toBe("file");
  expect(mayKeep(get("/map/helsinki.pmtiles"), ours)).toBe("map");
  expect(mayKeep(get("/field", { mode: "navigate" }), ours)).toBe("page");
});

test("nothing that was answered to a person is ever kept", () => {
  for (const path of ["/v1/alerts", "/v1/alerts/a/image", "/v1/whep/c", "/v1/live", "/auth/session", "/v1/assets/x", "/"]) expect(mayKeep(get(path), ours)).toBeUndefined();
  expect(mayKeep(get("/map", { mode: "navigate" }), ours)).toBeUndefined();
  expect(mayKeep(get("/fields", { mode: "navigate" }), ours)).toBeUndefined();
  expect(mayKeep(get("/assets/index-1.js", { method: "POST" }), ours)).toBeUndefined();
  expect(mayKeep({ method: "GET", mode: "cors", url: "https://elsewhere.example/assets/x.js" }, ours)).toBeUndefined();
});

test("a piece of the map lies inside the file", () => {
  expect(rangeOf("bytes=0-99", 1000)).toEqual({ first: 0, last: 99 });
  expect(rangeOf("bytes=900-", 1000)).toEqual({ first: 900, last: 999 });
  expect(rangeOf("bytes=900-5000", 1000)).toEqual({ first: 900, last: 999 });
  for (const header of [null, "", "bytes=1000-", "bytes=-5", "bytes=9-3", "items=0-1"]) expect(rangeOf(header, 1000)).toBeUndefined();
});
