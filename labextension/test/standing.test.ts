import assert from "node:assert/strict";
import { test } from "node:test";

import type { Answer, Notice, Quotas, Watched } from "../src/answer";
import { ending, pause, remember, savesNow, unseen, whyStopped } from "../src/standing";
import { Clock, duration, instant } from "../src/times";

const NOON = Date.parse("2026-03-04T12:00:00Z");
const at = (minutes: number) => new Date(NOON + minutes * 60_000).toISOString();

function answer(watched: Partial<Watched> | null, more: Partial<Quotas> = {}): Answer {
  const running = watched && { state: "ok" as const, exhausted_at: null, stops_at: null, policies: [], ...watched };
  return {
    now: at(0),
    server: "",
    problem: "",
    quotas: {
      severity: "ok",
      summary: null,
      remark: "",
      retry_time: null,
      verdicts: [],
      profiles: [],
      servers: [
        { name: "", profile: "", profile_name: "", watched: running },
        { name: "other", profile: "", profile_name: "", watched: null },
      ],
      stops_servers: true,
      notices: [],
      ...more,
    },
  };
}

const notice = (id: string, more: Partial<Notice> = {}): Notice => ({
  id, server: "", policy: "gpu", kind: "warning", until: null, text: id, ...more,
});

test("durations", () => {
  const said = [0, -5000, 999, 40_000, 60_000, 5.9 * 60_000, 3_600_000, 66_600_000].map(duration);
  assert.deepEqual(said, ["0s", "0s", "0s", "40s", "1m", "5m", "1h", "18h 30m"]);
});

test("instants are in the zone of the browser, and have a date when they are far away", () => {
  assert.equal(instant(at(125), NOON, "en-GB", "Europe/Zurich"), "Wed 15:05");
  assert.equal(instant(at(10 * 24 * 60), NOON, "en-GB", "UTC"), "14 Mar, 12:00");
});

test("the clock goes like the server's, and stays so when an answer makes no sense", () => {
  let own = NOON + 3_600_000;
  const clock = new Clock(() => own);
  clock.set(at(0));
  own += 5000;
  assert.equal(clock.now(), NOON + 5000);
  clock.set("nonsense");
  assert.equal(clock.now(), NOON + 5000);
});

test("a server ends when it is stopped, else when the first quota is used up", () => {
  const quotas = { verdicts: [90, 30].map((minutes) => ({ severity: "ok", exhausted_at: at(minutes), words: null })) };
  assert.deepEqual(ending(answer({ stops_at: at(40) }, quotas)), { at: NOON + 40 * 60_000, stops: true });
  assert.deepEqual(ending(answer(null, quotas)), { at: NOON + 30 * 60_000, stops: false });
  assert.deepEqual(ending(answer({ stops_at: at(40) }, { ...quotas, stops_servers: false }))?.stops, false);
  assert.equal(ending(answer(null)), null);
  assert.equal(ending({ ...answer(null), quotas: null }), null);
});

test("what is open is saved once, a minute before the server is stopped", () => {
  const end = { at: NOON + 60_000, stops: true };
  assert.equal(savesNow(end, NOON - 1, false, null), false);
  assert.equal(savesNow(end, NOON, false, null), true);
  assert.equal(savesNow(end, NOON, false, end.at), false);
  // A hidden tab may not get to it in the last minute.
  assert.equal(savesNow(end, NOON - 50_000, true, null), true);
  assert.equal(savesNow({ ...end, stops: false }, NOON, false, null), false);
  assert.equal(savesNow(null, NOON, false, null), false);
});

test("it asks more often when the end is near", () => {
  assert.equal(pause({ at: NOON + 60_000, stops: true }, NOON), 10_000);
  assert.equal(pause({ at: NOON + 3_600_000, stops: true }, NOON), 30_000);
  assert.equal(pause(null, NOON), 30_000);
});

test("a notice is shown once, and only where it belongs", () => {
  const given = answer(null, { notices: [notice("c"), notice("b", { server: "other" }), notice("a")] });
  const first = unseen(given, []);
  assert.deepEqual(first.map((one) => one.id), ["a", "c"]);
  assert.deepEqual(unseen(given, remember([], first)), []);
  assert.equal(remember([...Array(500).keys()].map(String), first).length, 200);
});

test("why a server was stopped is what the Hub said last", () => {
  const stopped = { notices: [notice("s", { kind: "stopped" as const, until: at(60) })] };
  assert.deepEqual(whyStopped(answer(null, stopped), NOON), { policy: "gpu", from: at(60) });
  const grace = answer({ state: "grace", stops_at: at(0.5), policies: ["gpu", "cpu"] }, { retry_time: at(90) });
  assert.deepEqual(whyStopped(grace, NOON), { policy: "gpu, cpu", from: at(90) });
  // It went away earlier, so for another reason.
  assert.equal(whyStopped(answer({ state: "grace", stops_at: at(5) }), NOON), null);
  assert.equal(whyStopped(answer({ state: "ok" }), NOON), null);
  assert.equal(whyStopped(answer({ state: "grace", stops_at: at(0) }, { stops_servers: false }), NOON), null);
  assert.equal(whyStopped(null, NOON), null);
});
