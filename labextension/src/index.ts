// The extension of the page: the item, the panel, warnings, another profile, and what is said when the
// server was stopped.

import { IConnectionLost, JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { IStatusBar } from "@jupyterlab/statusbar";
import { ITranslator, nullTranslator } from "@jupyterlab/translation";

import { Item } from "./item";
import { connectionLost } from "./lost";
import { Model } from "./model";
import { Panel } from "./panel";
import { Switcher } from "./switching";
import { Warnings } from "./warning";

const plugin: JupyterFrontEndPlugin<IConnectionLost> = {
  id: "jupyterlab-usage-quotas:plugin",
  description: "What is left of JupyterHub's usage quotas.",
  autoStart: true,
  provides: IConnectionLost,
  optional: [IStatusBar, ITranslator],
  activate: (app: JupyterFrontEnd, statusBar: IStatusBar | null, translator: ITranslator | null) => {
    const trans = (translator ?? nullTranslator).load("jupyterlab_usage_quotas");
    const locale = document.documentElement.lang || navigator.language;
    const model = new Model();
    const switcher = new Switcher(app, model, trans, locale);
    const panel = new Panel(model, trans, locale, (profile) => void switcher.choose(profile));
    const open = () => app.shell.activateById(panel.id);
    const item = new Item(model, trans, locale, open);
    const show = () => {
      if (!model.answer?.quotas || panel.isAttached) {
        return; // where no quotas are, nothing is shown
      }
      app.shell.add(panel, "right", { rank: 900 });
      if (statusBar) {
        statusBar.registerStatusItem(item.id, { item, align: "right", rank: 100 });
      } else {
        app.shell.add(item, "top", { rank: 900 });
      }
      model.changed.disconnect(show);
    };
    model.changed.connect(show);
    new Warnings(app, model, trans, open);
    void app.restored.then(() => model.start());
    return connectionLost(app, model, switcher, trans, locale);
  },
};

export default plugin;
