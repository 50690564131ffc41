// What this server's extension answers; `quotas` is what the Hub says (docs/reference/hub-api.md).
// Only what is shown is named here. Instants are ISO 8601, in UTC.

export interface Words {
  resource: string;
  window: string;
  servers: string;
  state: string;
  remaining: string;
  total: string;
  until: string | null;
}

export interface Quota {
  severity: string;
  exhausted_at: string | null;
  words: Words | null;
}

export interface Profile {
  slug: string;
  name: string;
  choices: Record<string, string>;
  choices_text: string;
  fits: boolean;
  denied: boolean;
  retry_time: string | null;
  text: string;
}

export interface Watched {
  state: "ok" | "warned" | "grace" | "stopping" | "stopped";
  exhausted_at: string | null;
  stops_at: string | null;
  policies: string[];
}

export interface RunningServer {
  name: string;
  profile: string;
  profile_name: string;
  watched: Watched | null;
}

export interface Notice {
  id: string;
  server: string;
  policy: string;
  kind: "warning" | "grace" | "stopped" | "continues";
  until: string | null;
  text: string;
}

export interface Quotas {
  severity: string | null;
  summary: { severity: string; text: string; until: string | null; details: string } | null;
  remark: string;
  retry_time: string | null;
  verdicts: Quota[];
  profiles: Profile[];
  servers: RunningServer[];
  stops_servers: boolean;
  notices: Notice[];
}

export interface Answer {
  /** The instant of the answer by the server's clock: the browser's may be wrong. */
  now: string;
  /** The name of this server, empty for the default one. */
  server: string;
  quotas: Quotas | null;
  /** Why there are no quotas, or why these are old; else empty. */
  problem: string;
}

/** Why a server does not answer any more, by the Hub itself. */
export interface Gone {
  /** The path of the page on which its user waits for it with another profile. */
  switch_url: string | null;
  /** Whether it is being stopped: soon there is more to say. */
  stopping: boolean;
  stopped: { policy: string; until: string | null } | null;
}
