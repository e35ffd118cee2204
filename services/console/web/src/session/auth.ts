/** The gateway's `/auth/*` in types; docs/integrators/http.md has the exact JSON. */
import { problemFrom } from "../contract/problem";

export interface Banner {
  version: string;
  title: string;
  text: string;
}
export interface Welcome {
  banner: Banner;
  installation: string;
  methods: { password: boolean; passkey: boolean; oidc: { name: string } | null };
  demo: boolean;
}
export interface SignedInPerson {
  person_id: string;
  agency_id: string;
  agency_name: string;
  login: string;
  display_name: string;
  roles: string[];
  unit_id: string;
}
export type FactorKind = "totp" | "passkey" | "demo" | "oidc";
export interface Session {
  signed_in: true;
  locked: boolean;
  person: SignedInPerson;
  rights: string[];
  session_id: string;
  fresh_until: string;
  expires_at: string;
  idle_lock_s: number;
  lock_exempt: boolean;
  reauthenticate: FactorKind[];
  server_time: string;
  demo: boolean;
}
export interface SignedOut {
  signed_in: false;
}
export interface Challenge {
  challenge_id: string;
  methods: FactorKind[];
  expires_in_s: number;
}
export interface Enrolment {
  person: { display_name: string; login: string; agency_name: string };
  expires_at: string;
  totp: { secret: string; uri: string; qr_svg: string };
  passkey: boolean;
  password_rules: { min_length: number; max_length: number };
  banner: Banner;
}

async function ask<T>(verb: "GET" | "POST", path: string, body?: unknown): Promise<T> {
  const answer = await fetch(path, {
    method: verb,
    credentials: "same-origin",
    headers: verb === "GET" ? {} : { "Content-Type": "application/json", "Rtcc-Request": "1" },
    body: verb === "GET" ? null : JSON.stringify(body ?? {}),
  });
  if (!answer.ok) throw await problemFrom(answer);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

export const readWelcome = () => ask<Welcome>("GET", "/auth/banner");
export const readSession = () => ask<Session | SignedOut>("GET", "/auth/session");
export const signInWithPassword = (login: string, password: string, bannerVersion: string) =>
  ask<Challenge>("POST", "/auth/sign-in", { login, password, banner_version: bannerVersion });
export const signInWithCode = (challengeId: string, code: string) =>
  ask<Session>("POST", "/auth/totp", { challenge_id: challengeId, code });
export const startEnrolment = (token: string) => ask<Enrolment>("POST", "/auth/enrol/start", { token });
export const enrolWithPassword = (token: string, password: string, code: string, bannerVersion: string) =>
  ask<Session>("POST", "/auth/enrol/totp", { token, password, code, banner_version: bannerVersion });
export const reauthenticateWithCode = (password: string, code: string) =>
  ask<Session>("POST", "/auth/reauthenticate", password || code ? { password, code } : {});
export const lockSession = () => ask<undefined>("POST", "/auth/lock");
export const reportActivity = () => ask<undefined>("POST", "/auth/activity");
export const signOut = () => ask<undefined>("POST", "/auth/sign-out");
export const changePassword = (currentPassword: string, code: string, password: string) =>
  ask<undefined>("POST", "/auth/password", { current_password: currentPassword, code, password });

interface PasskeyChallenge<T> {
  challenge_id: string;
  public_key: T;
}

/** Sign-in (banner version), second factor (challenge) or reauthentication with a passkey. */
export async function usePasskey(start: { banner_version: string } | { challenge_id: string } | { purpose: "reauthenticate" }): Promise<Session> {
  const challenge = await ask<PasskeyChallenge<PublicKeyCredentialRequestOptionsJSON>>("POST", "/auth/passkey/start", start);
  const credential = await navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(challenge.public_key),
  });
  return ask<Session>("POST", "/auth/passkey/finish", {
    challenge_id: challenge.challenge_id,
    credential: (credential as PublicKeyCredential).toJSON() as unknown,
  });
}

export async function enrolWithPasskey(token: string, name: string, bannerVersion: string): Promise<Session> {
  const challenge = await ask<PasskeyChallenge<PublicKeyCredentialCreationOptionsJSON>>("POST", "/auth/enrol/passkey/start", { token });
  const credential = await navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(challenge.public_key),
  });
  return ask<Session>("POST", "/auth/enrol/passkey/finish", {
    token,
    challenge_id: challenge.challenge_id,
    credential: (credential as PublicKeyCredential).toJSON() as unknown,
    name,
    banner_version: bannerVersion,
  });
}
