// Every quota, and every profile with how long it could run in place of this server.

import type { TranslationBundle } from "@jupyterlab/translation";
import { LabIcon } from "@jupyterlab/ui-components";
import { Widget } from "@lumino/widgets";

import type { Answer, Profile, Quota } from "./answer";
import { element } from "./elements";
import type { Model } from "./model";
import { ending, thisServer } from "./standing";
import { duration, instant } from "./times";

const icon = new LabIcon({
  name: "jupyterlab-usage-quotas:icon",
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><path class="jp-icon3" fill="#616161"' +
    ' d="M12 4a10 10 0 0 0-8.7 15h17.4A10 10 0 0 0 12 4Zm0 2a8 8 0 0 1 7.5 11h-15A8 8 0 0 1 12 6Zm4.6 3.4-5.3 3.8a1.5' +
    ' 1.5 0 1 0 1.6 1.6Z"/></svg>',
});

export class Panel extends Widget {
  private drawn = "";

  constructor(
    private readonly model: Model,
    private readonly trans: TranslationBundle,
    private readonly locale: string,
    private readonly choose: (profile: Profile) => void,
  ) {
    super();
    this.id = "jp-usage-quotas-panel";
    this.addClass("jp-usage-quotas-panel");
    this.title.icon = icon;
    this.title.caption = trans.__("Usage quotas");
    this.node.tabIndex = 0;
    model.changed.connect(() => this.draw());
    setInterval(() => this.isVisible && this.count(), 1000);
    this.draw();
  }

  private draw(): void {
    const { answer } = this.model;
    // What is the same stays as it is: also the button that has the focus.
    const now = JSON.stringify([answer?.quotas?.verdicts, answer?.quotas?.profiles, answer?.quotas?.remark, answer?.problem]);
    if (now !== this.drawn) {
      this.drawn = now;
      this.node.replaceChildren(...this.parts(answer));
    }
    this.count();
  }

  private parts(answer: Answer | null): Node[] {
    const { trans } = this;
    const quotas = answer?.quotas;
    const said = [answer?.problem, quotas?.remark].filter(Boolean).map((text) => element("p", "jp-usage-quotas-remark", text ?? ""));
    if (!answer || !quotas) {
      return [element("h2", "", trans.__("Usage quotas")), ...said];
    }
    const limited = quotas.verdicts.filter((one) => one.words);
    const own = thisServer(answer);
    return [
      element("h2", "", trans.__("Usage quotas")),
      ...said,
      element("p", "jp-usage-quotas-end"),
      ...limited.map((one) => this.quota(one)),
      limited.length ? null : element("p", "", trans.__("No quota limits you.")),
      quotas.profiles.length ? element("h2", "", trans.__("Profiles")) : null,
      quotas.profiles.length
        ? element("p", "jp-usage-quotas-note", trans.__("Another profile takes the place of this server. What is open is saved first. Kernels end, and what is only in their memory is lost."))
        : null,
      ...quotas.profiles.map((one) => this.profile(one, one.slug === own?.profile)),
    ].filter((one): one is HTMLElement => one !== null);
  }

  private quota(quota: Quota): HTMLElement {
    const { words } = quota;
    const until = words?.until ? ` ${this.trans.__("until %1", this.when(words.until))}` : "";
    const made = element(
      "div",
      "jp-usage-quotas-quota",
      element("strong", "", words?.resource ?? ""),
      element("span", "jp-usage-quotas-small", words?.window ?? ""),
      words?.servers ? element("span", "jp-usage-quotas-small", words.servers) : null,
      element("span", "", this.trans.__("%1 left of %2", words?.remaining ?? "", words?.total ?? "")),
      quota.severity === "ok" ? null : element("span", "jp-usage-quotas-state", `${words?.state ?? ""}${until}`),
    );
    made.dataset.severity = quota.severity;
    return made;
  }

  private profile(profile: Profile, runs: boolean): HTMLElement {
    const time = profile.retry_time ? ` ${this.when(profile.retry_time)}` : "";
    const button = element("button", "jp-mod-styled jp-usage-quotas-switch", this.trans.__("Switch…")) as HTMLButtonElement;
    button.disabled = profile.denied;
    button.setAttribute("aria-label", this.trans.__("Switch to %1", profile.name));
    button.addEventListener("click", () => this.choose(profile));
    const made = element(
      "div",
      "jp-usage-quotas-profile",
      element(
        "div",
        "",
        element("strong", "", profile.name),
        profile.choices_text ? element("span", "jp-usage-quotas-small", profile.choices_text) : null,
        element("span", "jp-usage-quotas-small", profile.denied ? `${profile.text}${time}` : this.trans.__("could run for %1", profile.text)),
        runs ? element("span", "jp-usage-quotas-small", this.trans.__("runs now")) : null,
      ),
      button,
    );
    made.dataset.profile = profile.slug;
    return made;
  }

  private count(): void {
    const shown = this.node.querySelector(".jp-usage-quotas-end");
    const end = this.model.answer && ending(this.model.answer);
    if (shown) {
      const left = end ? duration(end.at - this.model.clock.now()) : "";
      const text = !end
        ? ""
        : end.stops
          ? this.trans.__("This server is stopped in %1, at %2.", left, this.when(new Date(end.at).toISOString()))
          : this.trans.__("With what runs now, the first quota is used up in %1, at %2.", left, this.when(new Date(end.at).toISOString()));
      if (shown.textContent !== text) {
        shown.textContent = text;
      }
    }
  }

  private when(iso: string): string {
    return instant(iso, this.model.clock.now(), this.locale);
  }
}
