// What the Hub's pages show of usage quotas: times in the browser's own zone, and beside every
// profile of KubeSpawner's form how long it could run. Without scripts both can be read all the same.
(() => {
  "use strict";

  if (window.usageQuotaPages) {
    return; // a page may ask for this file twice
  }
  window.usageQuotaPages = true;

  const DAY = 24 * 60 * 60 * 1000;

  function showLocalTime(time) {
    const at = new Date(time.dateTime);
    const near = at - Date.now() < 6 * DAY;
    const day = near ? { weekday: "short" } : { day: "numeric", month: "short" };
    time.title = time.textContent;
    time.textContent = at.toLocaleString([], { ...day, hour: "2-digit", minute: "2-digit" });
  }

  function markProfile(row) {
    const slug = row.dataset.profile;
    const radio = [...document.querySelectorAll("#spawn_form input[type=radio][name=profile]")].find(
      (one) => one.value === slug,
    );
    const label = radio?.labels?.[0];
    if (!slug || !label) {
      return false;
    }
    const denied = "denied" in row.dataset;
    const mark = document.createElement("span");
    mark.className = `usage-quota-mark badge ${denied ? "text-bg-danger" : "border text-body"}`;
    mark.dataset.profile = slug;
    // Only text is taken over: a name that looks like markup stays text.
    const said = row.cells[1].textContent.replace(/\s+/g, " ").trim();
    mark.textContent = denied ? said : `Could run for ${said}`;
    (label.querySelector("h1, h2, h3, h4, h5, h6, strong") ?? label).append(" ", mark);
    return true;
  }

  // Where every profile has its mark, the table would only say the same again, and push the form down.
  function markProfiles(table) {
    const rows = [...table.querySelectorAll("tr[data-profile]")];
    table.hidden = rows.map(markProfile).every(Boolean);
  }

  document.querySelectorAll("time.usage-quota-when").forEach(showLocalTime);
  document.querySelectorAll("#usage-quota-profiles").forEach(markProfiles);
})();
