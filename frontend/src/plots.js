// Plots are read bar by bar, with a pointer or with the arrow keys; what a bar says is shown below it.
// Listens at the page, so that it goes on when the page is brought up to date.

const BAR = ".usage-quota-bar";

/** @param {Document} page */
export function readPlots(page) {
  page.addEventListener("pointerover", (event) => show(barOf(event.target)));
  page.addEventListener("focusin", (event) => show(barOf(event.target)));
  page.addEventListener("click", (event) => barOf(event.target)?.focus());
  page.addEventListener("keydown", (event) => {
    const bar = barOf(event.target);
    const next = bar && neighbour(bar, event.key);
    if (next) {
      event.preventDefault();
      next.focus();
    }
  });
}

/**
 * @param {EventTarget | null} target
 * @returns {HTMLElement | null}
 */
function barOf(target) {
  return target instanceof Element ? target.closest(BAR) : null;
}

/**
 * The bar that a key leads to.
 * @param {HTMLElement} bar
 * @param {string} key
 * @returns {HTMLElement | undefined}
 */
function neighbour(bar, key) {
  const bars = /** @type {HTMLElement[]} */ ([...(bar.parentElement?.querySelectorAll(BAR) ?? [])]);
  const here = bars.indexOf(bar);
  const there = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: bars.length - 1 }[key];
  return there === undefined ? undefined : bars[there];
}

/**
 * Say below a plot what a bar of it is; it is also the one that the Tab key comes back to.
 * @param {HTMLElement | null} bar
 */
function show(bar) {
  const plot = bar?.closest(".usage-quota-plot");
  const readout = plot?.querySelector(".usage-quota-readout");
  if (!bar || !plot || !readout) return;
  readout.textContent = bar.getAttribute("aria-label");
  for (const other of plot.querySelectorAll(BAR)) {
    other.setAttribute("tabindex", other === bar ? "0" : "-1");
    other.classList.toggle("usage-quota-bar-shown", other === bar);
  }
}
