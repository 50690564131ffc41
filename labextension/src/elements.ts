// Elements made of plain text: whatever names are made of, nothing in them becomes markup.

export function element(tag: string, className: string, ...content: (string | Node | null)[]): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content.filter((one): one is string | Node => one !== null && one !== ""));
  return made;
}
