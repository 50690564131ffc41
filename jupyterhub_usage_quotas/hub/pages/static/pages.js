// What the Hub's pages show of usage quotas: times in the browser's own zone, and beside every
// profile of KubeSpawner's form how long it could run. Without scripts both can be read all the same.
(() => {
  "use strict";

  if (window.usageQuotaPages) {
    return; // a page may ask for this file twice
  }
  window.usageQuotaPages = true;

  // The page says in which form, and in which language; the zone is the browser's.
  function showLocalTime(time) {
    const at = new Date(time.dateTime);
    const parts = (options) =>
      Object.fromEntries(
        new Intl.DateTimeFormat(time.lang, { day: "numeric", hourCycle: "h23", ...options })
          .formatToParts(at)
          .map((part) => [part.type, part.value]),
      );
    const long = parts({ weekday: "long", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" });
    const said = {
      ...long,
      time: `${long.hour}:${long.minute}`,
      weekday_short: parts({ weekday: "short" }).weekday,
      month_short: parts({ month: "short" }).month,
    };
    time.title ||= time.textContent;
    time.textContent = time.dataset.form.replace(/\{(\w+)\}/g, (_, name) => said[name] ?? "");
  }
  window.usageQuotaShowTime = showLocalTime;

  // Whether a row is for what is chosen in the form; of what the form does not ask, for any of it.
  function isChosen(row) {
    return Object.entries(JSON.parse(row.dataset.choices ?? "{}")).every(([option, choice]) => {
      const select = document.getElementById(`profile-option-${row.dataset.profile}--${option}`);
      return !select || select.value === choice;
    });
  }

  // The rows are for one profile, with all that can be chosen in it.
  function markProfile(slug, rows, couldRun) {
    const radio = [...document.querySelectorAll("#spawn_form input[type=radio][name=profile]")].find(
      (one) => one.value === slug,
    );
    const label = radio?.labels?.[0];
    if (!slug || !label) {
      return false;
    }
    const mark = document.createElement("span");
    mark.dataset.profile = slug;
    mark.lang = rows[0].closest("[lang]")?.lang ?? "";
    (label.querySelector("h1, h2, h3, h4, h5, h6, strong") ?? label).append(" ", mark);
    const show = () => {
      const row = rows.find(isChosen);
      const denied = row && "denied" in row.dataset;
      mark.className = `usage-quota-mark badge ${denied ? "text-bg-danger" : "border text-body"}`;
      mark.toggleAttribute("data-denied", Boolean(denied));
      mark.hidden = !row; // for what is written in a field, for example, no time is known
      // Only text is taken over: a name that looks like markup stays text.
      const said = row?.cells[1].textContent.replace(/\s+/g, " ").trim();
      const cost = row?.cells[2]?.textContent.trim();
      const runs = denied ? said : couldRun.replace("{time}", said);
      mark.textContent = cost ? `${runs}, ${cost}` : runs;
    };
    show();
    if (rows[0].dataset.choices) {
      mark.setAttribute("aria-live", "polite");
      label.addEventListener("change", show);
      // KubeSpawner's form selects what was chosen the last time when the page is ready.
      window.jQuery?.(show);
    }
    return true;
  }

  // What may not start now is not selected when the page is opened, if something else may.
  function selectWhatMayStart() {
    const radios = [...document.querySelectorAll("#spawn_form input[type=radio][name=profile]")];
    const mark = (radio) =>
      [...document.querySelectorAll(".usage-quota-mark")].find((one) => one.dataset.profile === radio.value);
    const may = (radio) => mark(radio) && !("denied" in mark(radio).dataset);
    const selected = radios.find((radio) => radio.checked);
    if (selected && mark(selected) && !may(selected)) {
      radios.find(may)?.click();
    }
  }

  // The button says before it is pressed that what is selected may not start, and from when on it may.
  function sayAtTheButton() {
    const form = document.getElementById("spawn_form");
    const button = form?.querySelector("[type=submit]");
    if (!button || !form.querySelector(".usage-quota-mark")) {
      return;
    }
    const note = document.createElement("p");
    note.id = "usage-quota-not-now";
    note.className = "text-center mt-2";
    note.setAttribute("role", "status");
    button.setAttribute("aria-describedby", note.id);
    button.after(note);
    const show = () => {
      const slug = form.querySelector("input[type=radio][name=profile]:checked")?.value;
      const mark = [...form.querySelectorAll(".usage-quota-mark[data-denied]")].find((one) => one.dataset.profile === slug);
      note.textContent = mark?.textContent ?? "";
      note.lang = mark?.lang ?? "";
    };
    form.addEventListener("change", show);
    show();
    window.jQuery?.(show);
  }

  // Where every profile has its mark, the table would only say the same again, and push the form down.
  function markProfiles(table) {
    const bySlug = new Map();
    for (const row of table.querySelectorAll("tr[data-profile]")) {
      bySlug.set(row.dataset.profile, [...(bySlug.get(row.dataset.profile) ?? []), row]);
    }
    table.hidden = [...bySlug].map(([slug, rows]) => markProfile(slug, rows, table.dataset.couldRun)).every(Boolean);
  }

  document.querySelectorAll("time.usage-quota-when").forEach(showLocalTime);
  document.querySelectorAll("#usage-quota-profiles").forEach(markProfiles);
  selectWhatMayStart();
  // KubeSpawner's form selects what was chosen the last time when the page is ready.
  window.jQuery?.(selectWhatMayStart);
  sayAtTheButton();
})();
