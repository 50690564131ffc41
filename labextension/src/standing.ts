// What an answer means for this server: how long it runs, when it is saved, which notices are new.

import type { Answer, Notice, Quotas, RunningServer } from "./answer";

const MINUTE = 60_000;
/** Before a server is stopped, what is open is saved so early. */
export const LAST_MINUTE = MINUTE;
/** In a tab that is hidden browsers let scripts run once a minute. */
export const WHILE_HIDDEN = 2 * MINUTE;
const MOST_SEEN = 200;

export interface Ending {
  at: number;
  /** Whether the server is stopped then; else only a quota is used up. */
  stops: boolean;
}

export function thisServer(answer: Answer): RunningServer | null {
  return answer.quotas?.servers.find((one) => one.name === answer.server) ?? null;
}

/** When this server is stopped, or else when the first quota is used up if all goes on. */
export function ending(answer: Answer): Ending | null {
  const watched = thisServer(answer)?.watched;
  if (watched?.stops_at && answer.quotas?.stops_servers) {
    return { at: Date.parse(watched.stops_at), stops: true };
  }
  const ends = [watched?.exhausted_at, ...(answer.quotas?.verdicts ?? []).map((one) => one.exhausted_at)]
    .map((iso) => (iso ? Date.parse(iso) : NaN))
    .filter((at) => !Number.isNaN(at));
  return ends.length ? { at: Math.min(...ends), stops: false } : null;
}

/** Whether it is time to save: once for each instant at which the server is stopped. */
export function savesNow(end: Ending | null, now: number, hidden: boolean, savedFor: number | null): boolean {
  if (!end?.stops || savedFor === end.at) {
    return false;
  }
  return end.at - now <= (hidden ? WHILE_HIDDEN : LAST_MINUTE);
}

/** How soon to ask again, in milliseconds: more often when the end is near. */
export function pause(end: Ending | null, now: number): number {
  return end && end.at - now < 5 * MINUTE ? 10_000 : 30_000;
}

/** The notices about this server that were not shown yet, the oldest first. */
export function unseen(answer: Answer, seen: readonly string[]): Notice[] {
  const known = new Set(seen);
  const about = (answer.quotas?.notices ?? []).filter((one) => one.server === answer.server);
  return about.filter((one) => !known.has(one.id)).reverse();
}

/** What was shown, with these too: of very many the oldest are forgotten. */
export function remember(seen: readonly string[], shown: readonly Notice[]): string[] {
  return [...seen, ...shown.map((one) => one.id)].slice(-MOST_SEEN);
}

/** Why a server that does not answer any more was stopped, and from when on it may start: what the
 * Hub said last. Null where no quota was the reason. */
export function whyStopped(answer: Answer | null, now: number): { policy: string; from: string | null } | null {
  const quotas: Quotas | null = answer?.quotas ?? null;
  if (!answer || !quotas?.stops_servers) {
    return null;
  }
  const [newest] = quotas.notices.filter((one) => one.server === answer.server);
  if (newest?.kind === "stopped") {
    return { policy: newest.policy, from: newest.until };
  }
  const watched = thisServer(answer)?.watched;
  const due = watched?.stops_at ? Date.parse(watched.stops_at) : Infinity;
  if (watched?.state === "stopping" || (watched?.state === "grace" && due - now < MINUTE)) {
    return { policy: watched.policies.join(", "), from: quotas.retry_time };
  }
  return null;
}
