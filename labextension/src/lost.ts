// What is said when the server does not answer any more: why a quota stopped it, as far as the Hub said
// so before, in place of "server unavailable".

import { ConnectionLost, IConnectionLost, JupyterFrontEnd } from "@jupyterlab/application";
import { Dialog, showDialog } from "@jupyterlab/apputils";
import { PageConfig, URLExt } from "@jupyterlab/coreutils";
import type { TranslationBundle } from "@jupyterlab/translation";

import type { Gone } from "./answer";
import type { Model } from "./model";
import { whyStopped } from "./standing";
import type { Switcher } from "./switching";
import { instant } from "./times";

const PATIENCE = 10_000;
const PAUSE = 2000;
/** How often it is asked, while the server is being stopped. */
const TIMES = 20;

async function whyGone(hub: string): Promise<Gone | null> {
  let gone = await ask(hub);
  for (let times = 1; gone?.stopping && times < TIMES; times++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    gone = await ask(hub);
  }
  return gone;
}

/** What the Hub says; null where it does not, for example as it has another origin. */
async function ask(hub: string): Promise<Gone | null> {
  const user = PageConfig.getOption("hubServerUser") || PageConfig.getOption("hubUser");
  const parts = [user, PageConfig.getOption("hubServerName")].filter(Boolean).map(encodeURIComponent);
  const url = PageConfig.getOption("hubHost") + URLExt.join(hub, "usage-quotas", "gone", ...parts);
  try {
    const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
    return response.ok ? ((await response.json()) as Gone) : null;
  } catch {
    return null;
  }
}

export function connectionLost(
  app: JupyterFrontEnd,
  model: Model,
  switcher: Switcher,
  trans: TranslationBundle,
  locale: string,
): IConnectionLost {
  const hub = PageConfig.getOption("hubPrefix");
  let shown = false;
  return async (manager, error) => {
    if (!hub) {
      return ConnectionLost(manager, error);
    }
    if (shown || switcher.underWay) {
      return;
    }
    shown = true;
    const gone = await whyGone(hub);
    if (gone?.switch_url) {
      switcher.go(gone.switch_url);
      return;
    }
    // What was said before may be of long ago: this page may have been asleep.
    const said = gone?.stopped && { policy: gone.stopped.policy, from: gone.stopped.until };
    const why = said ?? whyStopped(model.answer, model.clock.now());
    const from = why?.from ? trans.__("It can start again from %1.", instant(why.from, model.clock.now(), locale)) : "";
    const stopped = trans.__("Nothing is left of “%1”, so the Hub stopped this server.", why?.policy ?? "");
    const saved = model.saved ? trans.__("What was open was saved before.") : "";
    const result = await showDialog({
      title: why ? trans.__("Your server was stopped") : trans.__("Server unavailable or unreachable"),
      body: why
        ? [stopped, saved, from].filter(Boolean).join(" ")
        : trans.__("Your server at %1 is not running. Would you like to start it again?", PageConfig.getBaseUrl()),
      buttons: [
        Dialog.cancelButton({ label: trans.__("Dismiss") }),
        Dialog.okButton({ label: why ? trans.__("Go to the Hub") : trans.__("Start it again") }),
      ],
    });
    shown = false;
    if (result.button.accept) {
      const user = PageConfig.getOption("hubServerUser") || PageConfig.getOption("hubUser");
      const path = why ? ["home"] : ["spawn", encodeURIComponent(user), PageConfig.getOption("hubServerName")];
      window.location.assign(PageConfig.getOption("hubHost") + URLExt.join(hub, ...path));
    }
  };
}
