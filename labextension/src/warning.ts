// Notices once, and all that is open saved in the last minute.

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { Notification } from "@jupyterlab/apputils";
import type { TranslationBundle } from "@jupyterlab/translation";

import type { Notice } from "./answer";
import type { Model } from "./model";
import { saveAll } from "./saving";
import { ending, remember, savesNow, unseen } from "./standing";

const SEEN = "jupyterlab-usage-quotas:seen";

export class Warnings {
  private savedFor: number | null = null;
  /** What is shown now, by policy: the next notice about it takes its place. */
  private readonly shown = new Map<string, string>();

  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly model: Model,
    private readonly trans: TranslationBundle,
    private readonly open: () => void,
  ) {
    model.changed.connect(() => this.update());
    setInterval(() => void this.save(), 1000);
  }

  private update(): void {
    const answer = this.model.answer;
    if (answer) {
      const seen = read();
      const shown = unseen(answer, seen);
      shown.forEach((one) => this.show(one));
      write(remember(seen, shown));
      void this.save();
    }
  }

  private show(notice: Notice): void {
    const type = { warning: "warning", grace: "error", stopped: "error", continues: "info" } as const;
    const before = this.shown.get(notice.policy);
    if (before !== undefined) {
      Notification.dismiss(before);
    }
    const id = Notification.emit(notice.text, type[notice.kind] ?? "warning", {
      autoClose: notice.kind === "continues" ? 10_000 : false,
      actions: [{ label: this.trans.__("What is left"), callback: this.open }],
    });
    this.shown.set(notice.policy, id);
  }

  private async save(): Promise<void> {
    const end = this.model.answer && ending(this.model.answer);
    if (end && savesNow(end, this.model.clock.now(), document.hidden, this.savedFor)) {
      this.savedFor = end.at;
      this.model.saved = await saveAll(this.app);
      if (this.model.saved) {
        Notification.info(this.trans.__("What is open was saved."), { autoClose: 10_000 });
      } else {
        Notification.error(this.trans.__("Not all that is open could be saved. Save it now."), { autoClose: false });
      }
    }
  }
}

// In this tab: a reload shows nothing twice, and each tab shows it once.
function read(): string[] {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(SEEN) ?? "[]");
    return Array.isArray(kept) ? kept.map(String) : [];
  } catch {
    return [];
  }
}

function write(seen: string[]): void {
  try {
    sessionStorage.setItem(SEEN, JSON.stringify(seen));
  } catch {
    // Without storage it is shown again after a reload.
  }
}
