import { expect, test } from "vitest";
import { codecOf, entrance, listedParts, pace, partAddress, startOf } from "./hls-playlist";

const playlist = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-MEDIA-SEQUENCE:4
#EXT-X-MAP:URI="media/i00112233445566aa"
#EXT-X-PART:DURATION=0.33333,URI="media/p12-00112233445566aa",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.33333,URI="media/p13-00112233445566aa"
#EXTINF:0.66667,
media/s4
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="media/iffeeddccbbaa9988"
#EXT-X-PART:DURATION=0.33333,URI="media/p14-ffeeddccbbaa9988",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.33333,URI="media/p15-ffeeddccbbaa9988"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="media/p16-ffeeddccbbaa9988"
`;

test("parts are read with what they need, and a hint is no part", () => {
  const parts = listedParts(playlist);
  expect(parts.map((part) => part.number)).toEqual([12, 13, 14, 15]);
  expect(parts[3]).toEqual({ number: 15, init: "iffeeddccbbaa9988", independent: false });
  expect(partAddress(16, "iffeeddccbbaa9988")).toBe("p16-ffeeddccbbaa9988");
  expect(listedParts("<html>")).toEqual([]);
});

test("a player goes on with the part that was next, and else begins at the newest key picture", () => {
  const parts = listedParts(playlist);
  expect(entrance(parts, 13)?.number).toBe(13);
  expect(entrance(parts, -1)?.number).toBe(14);
  expect(entrance(parts, 16)?.number).toBe(14);
  expect(entrance([], 3)).toBeUndefined();
});

test("codec and beginning are read from the boxes, and nothing from what is cut off", () => {
  const init = new Uint8Array([0, 0, 0, 0, ...[..."avcC"].map((letter) => letter.charCodeAt(0)), 1, 0x42, 0xc0, 0x1e]);
  expect(codecOf(init)).toBe("avc1.42c01e");
  expect(codecOf(init.subarray(0, 10))).toBe("");
  const part = new Uint8Array([9, 9, ...[..."tfdt"].map((letter) => letter.charCodeAt(0)), 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0xbf, 0x20]);
  expect(startOf(part)).toBe(2);
  expect(startOf(part.subarray(0, 12))).toBe(0);
});

test("what is far behind is jumped over, what is a little off is caught up with", () => {
  expect(pace(0.6, 0.6)).toEqual({ jump: false, rate: 1 });
  expect(pace(1.2, 0.6).rate).toBeGreaterThan(1);
  expect(pace(0.3, 0.6).rate).toBeLessThan(1);
  expect(pace(0.1, 0.6).rate).toBeLessThan(pace(0.3, 0.6).rate);
  expect(pace(4, 0.6).jump).toBe(true);
});
