// What is said when the server does not answer any more: why a quota stopped it, as far as the Hub said
// so before, in place of "server unavailable".

import { ConnectionLost, IConnectionLost, JupyterFrontEnd } from "@jupyterlab/application";
import { Dialog, showDialog } from "@jupyterlab/apputils";
import { PageConfig, URLExt } from "@jupyterlab/coreutils";
import type { TranslationBundle } from "@jupyterlab/translation";

import type { Model } from "./model";
import { whyStopped } from "./standing";
import type { Switcher } from "./switching";
import { instant } from "./times";

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
    const why = whyStopped(model.answer, model.clock.now());
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
