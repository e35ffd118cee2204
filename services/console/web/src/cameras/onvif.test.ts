import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MediaProfileSchema } from "../generated/rtcc/video/v1/onvif_pb";
import { profileFacts, proposed, withAccount } from "./onvif";

const profile = (token: string, widthPx: number, codec = "H264", streamUrl = `rtsp://h/${token}`) => create(MediaProfileSchema, { token, codec, widthPx, heightPx: (widthPx * 9) / 16, streamUrl });

test("an account is written so that it can be read again", () => {
  const url = withAccount("rtsp://10.0.0.7:554/main?a=1", "ad@min", "p:w/é");
  expect(url).toBe("rtsp://ad%40min:p%3Aw%2F%C3%A9@10.0.0.7:554/main?a=1");
  expect(decodeURIComponent(new URL(url.replace("rtsp:", "http:")).password)).toBe("p:w/é");
  expect(withAccount("rtsp://h/x", "", "")).toBe("rtsp://h/x");
  expect(withAccount("", "u", "p")).toBe("");
});

test("the largest H.264 profile is proposed, and a much smaller one beside it", () => {
  expect(proposed([profile("hevc", 3840, "H265"), profile("main", 1920), profile("low", 640)])).toEqual({ main: "main", low: "low" });
  expect(proposed([profile("hevc", 3840, "H265")])).toEqual({ main: "hevc", low: "" });
  expect(proposed([profile("a", 1920), profile("b", 1280)])).toEqual({ main: "a", low: "" });
  expect(proposed([profile("a", 1920, "H264", "")])).toEqual({ main: "", low: "" });
});

test("what a device doesn't tell is left out", () => {
  expect(profileFacts(create(MediaProfileSchema, { codec: "JPEG" }))).toBe("JPEG");
  expect(profileFacts(create(MediaProfileSchema, { codec: "H264", widthPx: 640, heightPx: 360, framesPerSecond: 25, kilobitsPerSecond: 500, controlUrl: "onvif://h" }))).toBe("H264, 640 × 360, 25 fps, 500 kbit/s, can be moved");
});
