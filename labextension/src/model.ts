// The answers of this server's extension, kept up to date for all that shows them.

import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";
import { Poll } from "@lumino/polling";
import { ISignal, Signal } from "@lumino/signaling";

import type { Answer, Profile } from "./answer";
import { ending, pause } from "./standing";
import { Clock } from "./times";

export interface Begun {
  /** The path of the page on which the user waits; empty where nothing was begun. */
  url: string;
  message: string;
  retry_time?: string;
}

export class Model {
  readonly clock = new Clock();
  answer: Answer | null = null;
  /** Whether what is open was saved before this server is stopped. */
  saved = false;

  private readonly settings = ServerConnection.makeSettings();
  private readonly hasChanged = new Signal<this, void>(this);
  private readonly poll = new Poll({
    factory: () => this.refresh(),
    // Hidden tabs are warned, too.
    standby: "never",
    frequency: { interval: 30_000, backoff: true, max: 120_000 },
    name: "jupyterlab-usage-quotas",
    auto: false,
  });

  get changed(): ISignal<this, void> {
    return this.hasChanged;
  }

  async start(): Promise<void> {
    await this.poll.start();
  }

  async refreshNow(): Promise<void> {
    await this.poll.refresh();
    await this.poll.tick;
  }

  async switchTo(profile: Profile): Promise<Begun> {
    const body = JSON.stringify({ profile: profile.slug, options: profile.choices });
    const response = await this.request("switch", { method: "POST", body });
    const said = (await response.json()) as Partial<Begun>;
    return { url: "", message: response.ok ? "" : `HTTP ${response.status}`, ...said };
  }

  private async refresh(): Promise<void> {
    const response = await this.request("status", {});
    if (!response.ok) {
      // An old answer stays; a server without the extension has none.
      throw new Error(`HTTP ${response.status}`);
    }
    const given = (await response.json()) as Answer;
    this.clock.set(given.now);
    this.answer = given.quotas || !this.answer ? given : { ...this.answer, problem: given.problem };
    const interval = pause(ending(this.answer), this.clock.now());
    this.poll.frequency = { ...this.poll.frequency, interval };
    this.hasChanged.emit();
  }

  private request(path: string, init: RequestInit): Promise<Response> {
    const url = URLExt.join(this.settings.baseUrl, "usage-quotas", "api", path);
    return ServerConnection.makeRequest(url, init, this.settings);
  }
}
