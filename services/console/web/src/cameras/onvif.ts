/** ONVIF devices as the camera form uses them; pure. */
import type { MediaProfile } from "../generated/rtcc/video/v1/onvif_pb";

/** An address with the account in it, as it is stored, sealed. */
export function withAccount(url: string, username: string, password: string): string {
  if (!url || !username) return url;
  const at = url.indexOf("://") + 3;
  return `${url.slice(0, at)}${encodeURIComponent(username)}:${encodeURIComponent(password)}@${url.slice(at)}`;
}

/** "H264, 1920 × 1080, 25 fps, 4000 kbit/s"; what isn't told is left out. */
export function profileFacts(profile: MediaProfile): string {
  return [
    profile.codec,
    profile.widthPx ? `${profile.widthPx} × ${profile.heightPx}` : "",
    profile.framesPerSecond ? `${Math.round(profile.framesPerSecond)} fps` : "",
    profile.kilobitsPerSecond ? `${profile.kilobitsPerSecond} kbit/s` : "",
    profile.controlUrl ? "can be moved" : "",
  ]
    .filter(Boolean)
    .join(", ");
}

/** Which profiles a person most likely wants: the largest as it is, and the smallest that is at most half as wide, H.264 first. */
export function proposed(profiles: readonly MediaProfile[]): { main: string; low: string } {
  const usable = profiles.filter((profile) => profile.streamUrl);
  const plain = usable.filter((profile) => profile.codec === "H264");
  const bySize = [...(plain.length ? plain : usable)].sort((one, other) => other.widthPx * other.heightPx - one.widthPx * one.heightPx);
  const main = bySize[0];
  const low = bySize.at(-1);
  return { main: main?.token ?? "", low: main && low && low.widthPx * 2 <= main.widthPx ? low.token : "" };
}
