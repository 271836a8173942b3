// Faces: how much hair, skin or hat there is, while the look is kept.

import { $, color, fromSlider, make, percent, press, strip, toSlider } from "./dom.js";
import * as state from "./state.js";

let shelf = null;
const rows = new Map();

export function start(found) {
  shelf = found;
  const faces = shelf.classes.filter((one) => one.face && one.mean > 0);
  $("no-faces").hidden = faces.length > 1;
  const wanted = faces.length > 1 ? faces : shelf.classes.filter((one) => one.mean > 0);
  for (const entry of wanted) rows.set(entry.name, row(entry));
  $("face-sliders").replaceChildren(...[...rows.values()].map((one) => one.item));
  strip($("face-pairs"), shelf.train, (id) => state.edit({ pair: id, steps: [], looks: {} }));
  document.addEventListener("edited", (event) => show(event.detail));
}

function row(entry) {
  const slider = make("input", { type: "range", min: 0, max: 1000, step: 1 });
  slider.setAttribute("aria-label", `share of ${entry.name}`);
  slider.oninput = () => resize(entry.name, fromSlider(slider.value), `face ${entry.name}`);
  slider.onchange = () => state.settle();
  const swatch = make("span", { className: "swatch" });
  swatch.style.background = color(entry);
  const other = make("button", { textContent: "another's", title: `take ${entry.name} from another pair`, onclick: () => borrow(entry.name) });
  const look = make("button", { textContent: "own look", onclick: () => relook(entry.name) });
  const name = make("span", { className: "name", textContent: entry.name });
  const item = make("li", {}, swatch, name, make("span", { className: "pull" }, slider), other, look);
  return { item, slider, look, entry };
}

const without = (name, kind) =>
  state.get().edit.steps.filter((one) => !(one.kind === kind && one.name === name));

function resize(name, share, kind) {
  state.edit({ steps: [...without(name, "resize"), { kind: "resize", name, share: Math.min(share, 0.99), dice: 0 }] }, kind);
}

function borrow(name) {
  const before = state.get().edit.steps.find((one) => one.kind === "borrow" && one.name === name);
  const dice = before ? before.dice + 1 : 0;
  state.edit({ steps: [...without(name, "borrow"), { kind: "borrow", name, dice }] });
}

// own look, a random one
function relook(name) {
  const { looks } = state.get().edit;
  const { [name]: there, ...others } = looks;
  state.edit({ looks: there ? others : { ...others, [name]: "random" } });
}

function show(answer) {
  const { looks, painter } = state.get().edit;
  const byClass = shelf.painters.some((one) => one.name === painter && one.by_class);
  for (const [number, entry] of shelf.classes.entries()) {
    const one = rows.get(entry.name);
    if (!one) continue;
    if (document.activeElement !== one.slider) one.slider.value = toSlider(answer.made[number]);
    one.item.title = `${entry.name}: ${percent(answer.was[number])} before, ${percent(answer.made[number])} now`;
    one.look.disabled = !byClass;
    one.look.textContent = looks[entry.name] ? "random" : "own look";
    one.look.setAttribute("aria-pressed", String(Boolean(looks[entry.name])));
    one.look.setAttribute("aria-label", `${entry.name}: ${one.look.textContent}; change`);
  }
}

export const update = (now) => press($("face-pairs"), now.edit.pair);
