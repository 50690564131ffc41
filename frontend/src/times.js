// Times in the browser's own zone, in the language of the page and the forms that it gives with them.
// The text that was there, in UTC, becomes the tooltip.

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
    time.textContent = inWords(new Date(time.dateTime), time.dataset.form ?? "", time.lang);
  }
  for (const named of part.querySelectorAll(".usage-quota-zone")) {
    named.textContent = ZONE;
  }
}

/**
 * @param {Date} instant
 * @param {string} form a text with places, for example "{weekday}, {day} {month}"
 * @param {string} language
 */
export function inWords(instant, form, language) {
  /** @param {Intl.DateTimeFormatOptions} options */
  const parts = (options) =>
    Object.fromEntries(
      new Intl.DateTimeFormat(language, { day: "numeric", hourCycle: "h23", ...options })
        .formatToParts(instant)
        .map((part) => [part.type, part.value]),
    );
  const long = parts({
    weekday: "long",
    month: "long",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  });
  /** @type {Record<string, string | undefined>} */
  const said = {
    ...long,
    time: `${long.hour}:${long.minute}`,
    zone: long.timeZoneName,
    weekday_short: parts({ weekday: "short" }).weekday,
    month_short: parts({ month: "short" }).month,
  };
  return form.replace(/\{(\w+)\}/g, (_, name) => said[name] ?? "");
}
