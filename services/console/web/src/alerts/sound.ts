/** Alarm tones, synthesised: nothing to load. Browsers need a gesture first, hence "arm audio" once a shift. */
import { useDesk } from "../shell/desk";

let context: AudioContext | undefined;
let alarm: ReturnType<typeof setInterval> | undefined;

export async function armSound(): Promise<void> {
  context ??= new AudioContext();
  await context.resume();
  useDesk.setState({ soundArmed: true });
  tones([660, 880]);
}

export function silence(): void {
  stopAlarm();
  useDesk.setState({ soundArmed: false });
}

function tones(frequencies: readonly number[]): void {
  if (!context || !useDesk.getState().soundArmed) return;
  frequencies.forEach((frequency, index) => {
    const at = (context as AudioContext).currentTime + index * 0.2;
    const oscillator = (context as AudioContext).createOscillator();
    const gain = (context as AudioContext).createGain();
    oscillator.frequency.value = frequency;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(0.22, at + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.001, at + 0.18);
    oscillator.connect(gain).connect((context as AudioContext).destination);
    oscillator.start(at);
    oscillator.stop(at + 0.2);
  });
}

/** S1 repeats until nobody's S1 is left; S2 sounds once; the others are silent. */
export function soundFor(severity: number): void {
  if (severity === 2) tones([740, 590]);
}

export function startAlarm(): void {
  if (alarm) return;
  tones([880, 660, 880]);
  alarm = setInterval(() => tones([880, 660, 880]), 2_500);
}

export function stopAlarm(): void {
  clearInterval(alarm);
  alarm = undefined;
}
