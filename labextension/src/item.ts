// The tightest quota: what is left, and for how long; in the status bar, or at the top of a notebook.

import type { TranslationBundle } from "@jupyterlab/translation";
import { Widget } from "@lumino/widgets";

import { element } from "./elements";
import type { Model } from "./model";
import { ending } from "./standing";
import { duration, instant } from "./times";

const A_DAY = 86_400_000;

export class Item extends Widget {
  constructor(
    private readonly model: Model,
    private readonly trans: TranslationBundle,
    private readonly locale: string,
    open: () => void,
  ) {
    super();
    this.id = "jp-usage-quotas-item";
    this.addClass("jp-usage-quotas-item");
    this.node.addEventListener("click", open);
    model.changed.connect(() => this.draw());
    setInterval(() => this.draw(), 1000);
    this.draw();
  }

  private time(left: number, stops: boolean): string {
    if (stops) {
      return left > 0 ? this.trans.__("stops in %1", duration(left)) : this.trans.__("stops now");
    }
    return duration(left);
  }

  private draw(): void {
    const { answer, clock } = this.model;
    const summary = answer?.quotas?.summary;
    this.setHidden(!summary);
    if (!answer || !summary) {
      return;
    }
    const end = ending(answer);
    const until = summary.until ? ` ${instant(summary.until, clock.now(), this.locale)}` : "";
    const left = end && end.at - clock.now();
    const counts = left !== null && left < A_DAY;
    const time = counts ? this.time(left, Boolean(end?.stops)) : "";
    const text = [`${summary.text}${until}`, time].filter(Boolean).join(" · ");
    const urgent = Boolean(counts && end?.stops);
    this.node.dataset.severity = urgent ? "exhausted" : summary.severity;
    this.node.title = answer.problem || summary.details;
    if (this.node.textContent !== text) {
      const button = element("button", "jp-usage-quotas-button", text);
      button.setAttribute("aria-label", this.trans.__("Usage quotas: %1", text));
      this.node.replaceChildren(button);
    }
  }
}
