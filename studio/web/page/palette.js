// Palette to scene: sliders, dice, looks, twelve variants.

import { ask, busy, latest, say } from "./api.js";
import { $, color, fromSlider, make, options, percent, press, strip, toSlider } from "./dom.js";
import * as state from "./state.js";

const MOST_LOCKED = 0.99;
let shelf = null;
let answer = null;
let shown = "";
const rows = new Map();

export function start(found) {
  shelf = found;
  options($("layouts"), shelf.layouts);
  options($("painters"), shelf.painters.map((one) => one.name));
  $("layouts").onchange = () => state.scene({ layouts: $("layouts").value });
  $("painters").onchange = () => state.scene({ painter: $("painters").value });
  $("style").onchange = () => state.scene({ style: $("style").value, look: null });
  $("look-free").onclick = () => state.scene({ look: null });
  $("free-all").onclick = () => state.scene({ exactly: {}, absent: [] });
  $("all-classes").onchange = () => arrange();
  $("index").onchange = () => {
    const index = Math.min(9999999, Math.max(0, Math.round(Number($("index").value) || 0)));
    state.scene({ dice: alike(index) });
  };
  for (const button of document.querySelectorAll("[data-dice]"))
    button.onclick = () => throwDice(button.dataset.dice);
  $("variants").onclick = () => busy($("variants"), "Twelve variants are being painted.", variants);
  strip($("looks"), shelf.train, (id) => state.scene({ look: id }));
  for (const [number, entry] of shelf.classes.entries()) rows.set(entry.name, row(entry, number));
  arrange();
}

const alike = (index) =>
  ({ parent: index, palette: index, layout: index, painter: index, style: index });

function throwDice(which) {
  const { dice } = state.get().scene;
  if (which === "all") return state.scene({ dice: alike((dice.layout + 1) % 10000000) });
  const update = { dice: { ...dice, [which]: (dice[which] + 1) % 10000000 } };
  if (which === "style") update.look = null;
  return state.scene(update);
}

function row(entry, number) {
  const slider = make("input", { type: "range", min: 0, max: 1000, step: 1 });
  slider.setAttribute("aria-label", `share of ${entry.name}`);
  slider.oninput = () => lock(entry.name, fromSlider(slider.value), `slide ${entry.name}`);
  slider.onchange = () => state.settle();
  const box = make("input", { type: "number", min: 0, max: 99, step: 0.1 });
  box.setAttribute("aria-label", `${entry.name}, percent`);
  box.onchange = () => lock(entry.name, Number(box.value) / 100);
  const mode = make("button", { textContent: "free", onclick: () => cycle(entry.name, number) });
  const bars = [make("i"), make("i")];
  bars[1].style.background = color(entry);
  const swatch = make("span", { className: "swatch" });
  swatch.style.background = color(entry);
  const pull = make("span", { className: "pull" }, bars[0], slider, bars[1]);
  const name = make("span", { className: "name", textContent: entry.name, title: entry.name });
  const item = make("li", {}, swatch, name, pull, box, mode);
  return { item, slider, box, mode, bars, entry, number };
}

function lock(name, share, kind = null) {
  const { exactly, absent } = state.get().scene;
  const others = Object.entries(exactly).filter(([key]) => key !== name);
  const room = MOST_LOCKED - others.reduce((sum, [, value]) => sum + value, 0);
  const next = Math.min(share, room);
  const left = absent.filter((one) => one !== name);
  if (!(next > 0)) return state.scene({ exactly: Object.fromEntries(others), absent: [...left, name] }, kind);
  return state.scene({ exactly: { ...Object.fromEntries(others), [name]: next }, absent: left }, kind);
}

// free, locked, absent, free
function cycle(name, number) {
  const { exactly, absent } = state.get().scene;
  const others = Object.fromEntries(Object.entries(exactly).filter(([key]) => key !== name));
  if (absent.includes(name))
    return state.scene({ exactly: others, absent: absent.filter((one) => one !== name) });
  if (name in exactly) return state.scene({ exactly: others, absent: [...absent, name] });
  const asked = answer ? answer.asked[number] : 0;
  return asked > 0 ? lock(name, asked) : state.scene({ absent: [...absent, name] });
}

// The order stays while one plays: by the mean share of real pairs.
function arrange() {
  const scene = state.get() ? state.get().scene : { exactly: {} };
  const wanted = [...rows.values()].filter(
    (one) => one.entry.mean > 0 || $("all-classes").checked || one.entry.name in scene.exactly,
  );
  wanted.sort((one, two) => two.entry.mean - one.entry.mean);
  $("sliders").replaceChildren(...wanted.map((one) => one.item));
}

const draw = latest(async (now) => {
  const began = performance.now();
  answer = await ask("scene", now);
  $("scene-layout").src = answer.layout;
  $("scene-image").src = answer.image;
  await $("scene-image").decode().catch(() => {});
  const took = Math.round(performance.now() - began);
  $("palette").dataset.ms = String(took);
  $("scene-warnings").textContent = answer.warnings.join("; ");
  const { dice, look } = now.scene;
  const same = new Set(Object.values(dice)).size === 1 && !look;
  const which = same ? `pair ${dice.layout} of a set like this` : "its dice differ: no pair of a set";
  const whose = answer.style ? `; in the look of ${answer.style}` : "";
  const from = answer.parent ? `; on ${answer.parent}` : "";
  $("scene-facts").textContent = `${which}${from}${whose}; ${took} ms`;
  show(now.scene);
  say("");
});

function show(scene) {
  const longest = Math.max(...answer.asked, ...answer.made, 0.01);
  for (const one of rows.values()) {
    const [asked, made] = [answer.asked[one.number], answer.made[one.number]];
    const { name } = one.entry;
    const mode = scene.absent.includes(name) ? "absent" : name in scene.exactly ? "locked" : "free";
    one.mode.textContent = mode;
    one.mode.setAttribute("aria-pressed", String(mode !== "free"));
    one.mode.setAttribute("aria-label", `${name} is ${mode}; change`);
    if (document.activeElement !== one.slider || mode === "free") one.slider.value = toSlider(asked);
    if (document.activeElement !== one.box) one.box.value = (100 * asked).toFixed(2);
    one.bars[0].style.width = `${(100 * asked) / longest}%`;
    one.bars[1].style.width = `${(100 * made) / longest}%`;
    one.item.title = `${name}: asked ${percent(asked)}, made ${percent(made)}`;
  }
}

export function update(now, force) {
  const key = JSON.stringify(now.scene);
  if (key === shown && !force) return;
  shown = key;
  const { scene } = now;
  $("layouts").value = scene.layouts;
  $("painters").value = scene.painter;
  $("style").value = scene.style;
  $("index").value = scene.dice.layout;
  const takes = shelf.painters.some((one) => one.name === scene.painter && one.looks);
  for (const id of ["style", "look-free"]) $(id).disabled = !takes;
  press($("looks"), scene.look);
  draw(now);
}

async function variants() {
  const found = await ask("variants", state.get());
  $("variant-grid").replaceChildren(
    ...found.variants.map((one, n) =>
      make("button", { title: "take this one", onclick: () => state.scene(one.scene) },
        make("img", { src: one.layout, alt: `layout of variant ${n + 1}` }),
        make("img", { src: one.image, alt: `variant ${n + 1}` })),
    ),
  );
  say("Press one to take it.");
}
