// Times in the browser's own zone and language. The text that was there, in UTC, becomes the tooltip.

/** @type {Record<string, Intl.DateTimeFormatOptions>} */
const FORMS = {
  long: {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  },
  short: { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" },
  near: { weekday: "short", hour: "2-digit", minute: "2-digit" },
  far: { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
  time: { weekday: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short" },
};

/** The name of the browser's time zone, for example "Europe/Zurich". */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/**
 * Show all times in a part of a page in the browser's zone, if they are not yet.
 * @param {ParentNode} part
 */
export function showLocalTimes(part) {
  for (const element of part.querySelectorAll("time.usage-quota-time:not([title])")) {
    const time = /** @type {HTMLTimeElement} */ (element);
    time.title = (time.textContent ?? "").replace(/( UTC)?$/, " UTC");
    time.textContent = inWords(new Date(time.dateTime), time.dataset.form ?? "long");
  }
  for (const named of part.querySelectorAll(".usage-quota-zone")) {
    named.textContent = ZONE;
  }
}

/**
 * @param {Date} instant
 * @param {string} form
 */
export function inWords(instant, form) {
  return instant.toLocaleString([], FORMS[form] ?? FORMS.long);
}
