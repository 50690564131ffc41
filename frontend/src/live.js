// Keeps an open page up to date: asks for the part of it that changes, and changes what is different.

import { Idiomorph } from "idiomorph";
import { inWords, showLocalTimes, ZONE } from "./times.js";

const CHIP = "#usage-quota-chip";
const EVERY = 60_000;
const OLD_ENOUGH = 15_000;
const AFTER_TYPING = 300;
const LIVE = "#usage-quota-live";

/** The page as it is now: its address, when it was asked for last, and what it said then. */
const page = { address: location.href, asked: Date.now(), etag: "", since: new Date() };
/** @type {AbortController | undefined} */
let asking;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

export function keepUpToDate() {
  const live = document.querySelector(LIVE);
  if (!(live instanceof HTMLElement)) return;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (Date.now() - page.asked > OLD_ENOUGH) void refresh();
    else wait();
  });
  document.addEventListener("click", follow);
  document.addEventListener("input", search);
  addEventListener("popstate", () => void goTo(location.href));
  if (live.dataset.zone !== ZONE && tellZone()) void refresh();
  else wait();
}

/** Tell the server in which time zone days begin. */
function tellZone() {
  const path = main().dataset.path ?? "/";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const value = encodeURIComponent(ZONE);
  document.cookie = `usage-quota-zone=${value}; Path=${path}; Max-Age=31536000; SameSite=Lax${secure}`;
  return document.cookie.includes(`usage-quota-zone=${value}`);
}

function wait() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(() => void refresh(), EVERY);
}

/** Ask what is new, and show it; when that is done, whatever came of it, there is an event. */
async function refresh() {
  clearTimeout(timer);
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  page.asked = Date.now();
  try {
    const answer = await ask(mine.signal);
    if (answer.status === 200) {
      show(await answer.text());
      page.etag = answer.headers.get("ETag") ?? "";
    }
    if (answer.status === 200 || answer.status === 304) worked();
    else if (answer.status === 401 || answer.type === "opaqueredirect") failed(texts().ended ?? "");
    else failed();
  } catch (error) {
    if (mine.signal.aborted) return;
    failed();
  }
  if (asking !== mine) return;
  wait();
  document.dispatchEvent(new CustomEvent("usage-quota:asked"));
}

/** @param {AbortSignal} signal */
function ask(signal) {
  const headers = new Headers({
    "X-Usage-Quota-Part": "live",
    "X-XSRFToken": main().dataset.xsrf ?? "",
  });
  if (page.etag) headers.set("If-None-Match", page.etag);
  const timeout = AbortSignal.timeout(EVERY / 2);
  return fetch(page.address, {
    headers,
    signal: AbortSignal.any([signal, timeout]),
    redirect: "manual",
    cache: "no-store",
  });
}

/**
 * Change what is different, and leave what a person is doing as it is: the focus, what is open, what
 * is typed, which bar is read.
 * @param {string} html
 */
function show(html) {
  const answer = new DOMParser().parseFromString(html, "text/html");
  const fresh = answer.querySelector(LIVE);
  const live = document.querySelector(LIVE);
  if (!fresh || !live) return;
  showLocalTimes(answer);
  const chip = answer.querySelector(CHIP);
  if (chip) document.querySelector(CHIP)?.replaceWith(chip);
  const before = severities();
  Idiomorph.morph(live, fresh, {
    morphStyle: "outerHTML",
    callbacks: {
      beforeAttributeUpdated: (name, node) =>
        !(name === "open" && node instanceof HTMLDetailsElement) && !(name === "tabindex" && isBar(node)),
      beforeNodeMorphed: (node) => node !== document.activeElement || !(node instanceof HTMLInputElement),
    },
  });
  for (const bar of document.querySelectorAll(".usage-quota-bar[tabindex='0']")) {
    const readout = bar.closest(".usage-quota-plot")?.querySelector(".usage-quota-readout");
    if (readout) readout.textContent = bar.getAttribute("aria-label");
  }
  const changed = [...severities()].filter(([said]) => before.size && !before.has(said));
  announce(changed.map(([said]) => said).join(". "));
}

/** @param {unknown} node */
function isBar(node) {
  return node instanceof Element && node.classList.contains("usage-quota-bar");
}

/** What the cards say in a few words. */
function severities() {
  const cards = document.querySelectorAll("[data-said]");
  return new Map([...cards].map((card) => [card.getAttribute("data-said") ?? "", true]));
}

/** @param {string} text */
function announce(text) {
  const announcer = document.querySelector("#usage-quota-announcer");
  if (announcer && text) announcer.textContent = text;
}

function worked() {
  page.since = new Date();
  trouble("");
}

/** @param {string} why */
function failed(why = "") {
  const { failed: text = "", form = "" } = texts();
  trouble(why || text.replace("{time}", inWords(page.since, form, main().lang)));
}

/** @param {string} text */
function trouble(text) {
  const notice = document.querySelector("#usage-quota-trouble");
  if (!(notice instanceof HTMLElement)) return;
  if (notice.textContent !== text) notice.textContent = text;
  notice.hidden = !text;
}

/**
 * Follow a link to another view of the same page without loading it anew.
 * @param {MouseEvent} event
 */
function follow(event) {
  const link = event.target instanceof Element ? event.target.closest("a[data-part]") : null;
  const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!(link instanceof HTMLAnchorElement) || !plain) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  void goTo(link.href);
}

/**
 * Search while somebody types.
 * @param {Event} event
 */
function search(event) {
  const field = event.target;
  if (!(field instanceof HTMLInputElement) || field.type !== "search" || !field.form) return;
  const address = new URL(field.form.action);
  address.search = new URLSearchParams(
    [...new FormData(field.form)].map(([name, value]) => [name, String(value)]),
  ).toString();
  clearTimeout(timer);
  timer = setTimeout(() => {
    history.replaceState(null, "", address);
    void goTo(address.href);
  }, AFTER_TYPING);
}

/** @param {string} address */
function goTo(address) {
  page.address = address;
  page.etag = "";
  return refresh();
}

/**
 * What the script has to say, in the language of the page.
 * @returns {Record<string, string>}
 */
function texts() {
  return JSON.parse(main().dataset.texts ?? "{}");
}

function main() {
  return /** @type {HTMLElement} */ (document.querySelector("main.usage-quota"));
}
