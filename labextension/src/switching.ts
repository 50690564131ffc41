// Another profile: what it means is said first, what is open is saved, and the Hub decides before it
// stops anything.

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { Dialog, showDialog } from "@jupyterlab/apputils";
import { PageConfig, URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";
import type { TranslationBundle } from "@jupyterlab/translation";

import type { Profile } from "./answer";
import type { Model } from "./model";
import { saveAll } from "./saving";
import { Tabs } from "./tabs";
import { instant } from "./times";

const PAUSE = 1000;
/** For so many pauses, a tab that follows waits for the one that leads. */
const TIMES = 90;

export class Switcher {
  /** Set while this server is stopped because the user wants another. */
  underWay = false;

  private readonly tabs = new Tabs({ save: () => saveAll(this.app), follow: (path) => void this.follow(path) });

  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly model: Model,
    private readonly trans: TranslationBundle,
    private readonly locale: string,
  ) {}

  async choose(profile: Profile): Promise<void> {
    const { trans } = this;
    const text = trans.__(
      "This server is stopped, and started again with this profile, which could run for %1. What is open is saved first. All kernels end: variables and running cells are lost.",
      profile.text,
    );
    if (!(await this.asks(trans.__("Switch to %1?", profile.name), text, trans.__("Switch")))) {
      return;
    }
    const [own, others] = await Promise.all([saveAll(this.app), this.tabs.saveOthers()]);
    if (!(own && others) && !(await this.asks(trans.__("Not everything is saved"), trans.__("Not all that is open could be saved, here or in another tab. Changes that are not saved are lost."), trans.__("Switch anyway")))) {
      return;
    }
    this.underWay = true;
    const begun = await this.model.switchTo(profile).catch((error: Error) => ({ url: "", message: error.message, retry_time: undefined }));
    if (begun.url) {
      this.tabs.lead(begun.url);
      this.go(begun.url);
      return;
    }
    this.underWay = false;
    const from = begun.retry_time ? ` (${instant(begun.retry_time, this.model.clock.now(), this.locale)})` : "";
    await showDialog({
      title: trans.__("%1 was not started", profile.name),
      body: `${begun.message}${from}`,
      buttons: [Dialog.okButton()],
    });
    void this.model.refreshNow();
  }

  /**
   * Load this page again once the new server knows this browser: of two tabs that log in at once,
   * JupyterHub refuses one, as both have the same cookie for it. Where the tab that leads does not
   * get there, for example because it was closed, go where it went.
   */
  private async follow(path: string): Promise<void> {
    this.underWay = true;
    const status = URLExt.join(PageConfig.getBaseUrl(), "api/status");
    let stopped = false;
    for (let times = 0; times < TIMES; times++) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      const there = await answers(status);
      if (stopped && there) {
        window.location.reload();
        return;
      }
      // The server before goes on answering for a moment.
      stopped ||= !there;
    }
    this.go(path);
  }

  /** To a page of the Hub's, and nowhere else. */
  go(path: string): void {
    if (path.startsWith(PageConfig.getOption("hubPrefix"))) {
      this.underWay = true;
      window.location.assign(`${PageConfig.getOption("hubHost")}${path}`);
    }
  }

  private async asks(title: string, body: string, label: string): Promise<boolean> {
    const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label })];
    return (await showDialog({ title, body, buttons })).button.accept;
  }
}

/** Whether the server answers somebody who is logged in; else the Hub answers, or it is refused. */
async function answers(url: string): Promise<boolean> {
  try {
    // With the token against forged requests, without which a cookie counts for nothing.
    const settings = ServerConnection.makeSettings();
    return (await ServerConnection.makeRequest(url, { redirect: "error" }, settings)).ok;
  } catch {
    return false;
  }
}
