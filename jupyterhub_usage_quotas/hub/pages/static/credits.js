// The credits in the header, as they change. Without scripts they are those of when the page was loaded.
(() => {
  "use strict";

  const line = document.getElementById("usage-quota-credits");
  if (!line || !window.EventSource || window.usageQuotaCredits) {
    return; // a page may ask for this file twice
  }

  const format = new Intl.NumberFormat(line.closest("[lang]")?.lang || undefined, { maximumFractionDigits: 1 });
  const shown = (one) => (one === null || one === undefined ? "?" : format.format(Math.floor(one * 10) / 10));
  const ofCap = (one) => `${shown(one.balance)} / ${shown(one.cap)}`;

  function show(every) {
    // Those that nothing limits are not in the header.
    const all = every.filter((one) => one.cap !== null && one.cap !== undefined);
    const [own] = all;
    if (!own) {
      return;
    }
    // Only ever text: names of projects are an admin's, and those of users their own.
    line.querySelector("[data-credits=own]").textContent =
      all.length === 1
        ? ofCap(own)
        : all
            .flatMap((one) => [one, one.project])
            .filter(Boolean)
            .map((one) => `${one.name} ${ofCap(one)}`)
            .join(", ");
    const project = line.querySelector("[data-credits=project]");
    if (project && own.project) {
      project.textContent = ofCap(own.project);
    }
    const next = all
      .flatMap((one) => [one.next_grant, one.project?.next_grant])
      .filter(Boolean)
      .sort()[0];
    const when = line.querySelector("[data-credits=next]");
    when.hidden = !next;
    const time = when.querySelector("time");
    if (next && time) {
      time.dateTime = next;
      window.usageQuotaShowTime?.(time);
    }
  }

  const token = window.jhdata?.xsrf_token;
  const address = line.dataset.live + (token ? `?_xsrf=${encodeURIComponent(token)}` : "");
  const source = new EventSource(address);
  source.addEventListener("message", (event) => show(JSON.parse(event.data)));
  window.addEventListener("pagehide", () => source.close());
  window.usageQuotaCredits = source;
})();
