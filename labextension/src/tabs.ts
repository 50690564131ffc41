// The other tabs of this server in the same browser: before it is stopped for another profile, they save
// what is open in them too, and then they follow.

import { PageConfig } from "@jupyterlab/coreutils";

const NAME = "jupyterlab-usage-quotas";
/** For so long, in milliseconds, other tabs may take to say that they are there, and to save. */
const THERE = 500;
const SAVED = 15_000;

type Kind = "save" | "saving" | "saved" | "not saved" | "follow";

interface Message {
  server: string;
  kind: Kind;
  /** Who asked: only that tab counts the answers. */
  asked: string;
  url?: string;
}

/** What a tab does for the others. */
export interface Tab {
  save(): Promise<boolean>;
  follow(url: string): void;
}

export class Tabs {
  private readonly channel = new BroadcastChannel(NAME);
  private readonly server = PageConfig.getBaseUrl();
  private readonly listeners = new Set<(message: Message) => void>();

  constructor(tab: Tab) {
    this.channel.onmessage = ({ data }: MessageEvent<Message>) => {
      // A user may have several servers, and this is a channel for all of them.
      if (data?.server !== this.server) {
        return;
      }
      if (data.kind === "save") {
        void this.saveFor(data.asked, tab);
      } else if (data.kind === "follow" && data.url) {
        tab.follow(data.url);
      }
      this.listeners.forEach((listener) => listener(data));
    };
  }

  /** Have the other tabs save what is open in them: whether all of them did, in time. */
  async saveOthers(): Promise<boolean> {
    const asked = Math.random().toString(36).slice(2);
    let saving = 0;
    let saved = 0;
    let failed = false;
    let done = () => {};
    const listener = (message: Message) => {
      if (message.asked === asked) {
        saving += Number(message.kind === "saving");
        saved += Number(message.kind === "saved");
        failed ||= message.kind === "not saved";
        done();
      }
    };
    this.listeners.add(listener);
    this.send({ kind: "save", asked });
    await later(THERE);
    const all = new Promise<void>((resolve) => {
      done = () => (failed || saved >= saving) && resolve();
      done();
    });
    await Promise.race([all, later(SAVED)]);
    this.listeners.delete(listener);
    return !failed && saved >= saving;
  }

  /** Have the other tabs go where this one goes. */
  lead(url: string): void {
    this.send({ kind: "follow", asked: "", url });
  }

  private async saveFor(asked: string, tab: Tab): Promise<void> {
    this.send({ kind: "saving", asked });
    this.send({ kind: (await tab.save()) ? "saved" : "not saved", asked });
  }

  private send(message: Omit<Message, "server">): void {
    this.channel.postMessage({ server: this.server, ...message });
  }
}

function later(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
