// Small helpers for elements.

export const $ = (id) => document.getElementById(id);

export function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function options(select, values, chosen) {
  select.replaceChildren(
    ...values.map((value) => {
      const [key, text] = Array.isArray(value) ? value : [value, value];
      return make("option", { value: key, textContent: text });
    }),
  );
  if (chosen !== undefined) select.value = chosen;
}

export const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 2 : 1)} %`;
export const color = (entry) => `rgb(${entry.color.join(" ")})`;
export const thumb = (row, set = "real/train", what = "image") =>
  `/pair?set=${encodeURIComponent(set)}&row=${row}&what=${what}`;

const AT_ONCE = 48;

// Fill a strip with the training pairs, some at a time; `choose(id)` is called for the one pressed.
export function strip(box, ids, choose) {
  let shown = 0;
  const more = make("button", { textContent: "more", onclick: add });
  function add() {
    more.remove();
    const part = ids.slice(shown, shown + AT_ONCE);
    part.forEach((id, n) => {
      const image = make("img", { src: thumb(shown + n), alt: id, loading: "lazy" });
      const button = make("button", { title: id, onclick: () => choose(id) }, image);
      button.dataset.id = id;
      box.append(button);
    });
    shown += part.length;
    if (shown < ids.length) box.append(more);
  }
  box.replaceChildren();
  add();
}

export function press(box, id) {
  for (const button of box.querySelectorAll("button[data-id]"))
    button.setAttribute("aria-pressed", String(button.dataset.id === id));
}

// A slider whose small shares have room: its position is the root of the share.
export const toSlider = (share) => Math.round(1000 * Math.sqrt(Math.max(0, share)));
export const fromSlider = (value) => (Number(value) / 1000) ** 2;
