// Edit a real pair: bands, boxes, a brush, objects that go and come.

import { ask, latest, look, say } from "./api.js";
import * as board from "./board.js";
import { $, color, make, options, percent, press, strip } from "./dom.js";
import * as state from "./state.js";

const HINTS = {
  band: "Drag over the picture: a band as high as it is made anew.",
  box: "Drag a box: it is made anew.",
  brush: "Draw with the class below.",
  remove: "Click an object: it is painted over with what surrounds it.",
  put: "Choose an object on the right; press where its foot is to be, and drag.",
};
const WORDS = {
  hole: (s) => `${s.top === 0 && s.height >= shelf.size[0] ? "band" : "box"} of ${s.width}x${s.height} anew`,
  remove: (s) => `region at ${s.x}, ${s.y} removed`,
  brush: (s) => `${s.name} drawn`,
  resize: (s) => `${s.name} to ${percent(s.share)}`,
  borrow: (s) => `${s.name} of another pair`,
  put: (s) => `object ${s.object} at ${s.x}, ${s.y}`,
};
const LEAST = 2;
let shelf = null;
let shown = "";
let chosen = null;
let first = 0;
const layout = document.createElement("canvas");

export function start(found) {
  shelf = found;
  const names = shelf.classes.filter((one) => one.mean > 0).map((one) => one.name);
  options($("edit-class"), names, names.includes("car") ? "car" : names[0]);
  const things = shelf.classes.filter((_, n) => shelf.objects[n] > 0).map((one) => one.name);
  options($("object-class"), things, things.includes("car") ? "car" : things[0]);
  board.start(shelf.size, heard);
  for (const radio of document.querySelectorAll("[name=tool]")) radio.onchange = () => hint();
  $("wipe").oninput = wipe;
  $("edit-grow").onclick = () =>
    step({ kind: "resize", name: $("edit-class").value, share: clamp(Number($("edit-share").value) / 100), dice: 0 });
  $("step-back").onclick = () => state.edit({ steps: state.get().edit.steps.slice(0, -1) });
  $("step-none").onclick = () => state.edit({ steps: [], looks: {} });
  $("noise-dice").onclick = () => state.edit({ noise: state.get().edit.noise + 1 });
  $("step-dice").onclick = () => last((one) => ("dice" in one ? { ...one, dice: one.dice + 1 } : null), "This step throws no dice.");
  $("step-mirror").onclick = () => last((one) => (one.kind === "put" ? { ...one, mirrored: !one.mirrored } : null), "The last step put no object.");
  $("object-class").onchange = () => objects(0);
  $("objects-more").onclick = () => objects(first + 24);
  strip($("pairs"), shelf.train, (id) => state.edit({ pair: id, steps: [], looks: {} }));
  new ResizeObserver(wipe).observe($("board"));
  hint();
  wipe();
}

const clamp = (share) => Math.min(0.99, Math.max(0, share || 0));
const tool = () => document.querySelector("[name=tool]:checked").value;
const hint = () => { $("tool-hint").textContent = HINTS[tool()]; };

function wipe() {
  $("before").style.clipPath = `inset(0 ${100 - Number($("wipe").value)}% 0 0)`;
}

function step(one, kind = null) {
  state.edit({ steps: [...state.get().edit.steps, one] }, kind);
}

function last(alter, otherwise) {
  const { steps } = state.get().edit;
  const next = steps.length ? alter(steps.at(-1)) : null;
  if (!next) return say(steps.length ? otherwise : "There is no step yet.");
  return state.edit({ steps: [...steps.slice(0, -1), next] });
}

const boxOf = (from, to) => {
  const [left, right] = [Math.min(from[0], to[0]), Math.max(from[0], to[0])];
  const whole = tool() === "band";
  const [top, bottom] = whole ? [0, shelf.size[0] - 1] : [Math.min(from[1], to[1]), Math.max(from[1], to[1])];
  return [left, top, right - left + 1, bottom - top + 1];
};

function heard(kind, from, to, points) {
  if (to) $("place").textContent = `${to[0]}, ${to[1]}: ${classAt(to)}`;
  const using = tool();
  if (using === "put") return put(kind, to);
  if (kind === "cancel" || !from) return board.overlay(null);
  if (using === "band" || using === "box") {
    const [left, top, width, height] = boxOf(from, to);
    if (kind !== "release") return board.overlay({ box: [left, top, width, height] });
    board.overlay(null);
    if (width < LEAST || height < LEAST) return say("Drag a little further: the box is too small.");
    return step({ kind: "hole", left, top, width, height, dice: 0 });
  }
  if (using === "brush") {
    const name = $("edit-class").value;
    const size = Math.min(512, Math.max(1, Math.round(Number($("brush-size").value) || 1)));
    const entry = shelf.classes.find((one) => one.name === name);
    if (kind !== "release") return board.overlay({ line: points, width: size, color: color(entry) });
    board.overlay(null);
    return step({ kind: "brush", name, size, points: points.slice(0, 4000) });
  }
  board.overlay(null);
  if (kind === "release") step({ kind: "remove", x: to[0], y: to[1] });
  return undefined;
}

// An object follows the pointer from where it was pressed until it is let go: one step.
function put(kind, to) {
  board.overlay(null);
  if (chosen === null) {
    if (kind === "press") say("Choose an object first.");
    return;
  }
  const one = { kind: "put", object: chosen, x: to ? to[0] : 0, y: to ? to[1] : 0 };
  const { steps } = state.get().edit;
  if (kind === "press") step(one, "put");
  else if (kind === "move" && board.isDown())
    state.edit({ steps: [...steps.slice(0, -1), { ...one, mirrored: steps.at(-1).mirrored || false }] }, "put");
  else if (kind === "release") state.settle();
}

function classAt([x, y]) {
  if (!layout.width) return "";
  const found = layout.getContext("2d").getImageData(x, y, 1, 1).data;
  const entry = shelf.classes.find((one) => one.color.every((value, n) => value === found[n]));
  return entry ? entry.name : "";
}

const draw = latest(async (now) => {
  const began = performance.now();
  const answer = await ask("edit", now);
  $("after").src = answer.image;
  $("before").src = answer.before;
  $("edit-layout").src = answer.layout;
  for (const [id, url] of [["face-before", answer.before], ["face-after", answer.image], ["face-layout", answer.layout]])
    $(id).src = url;
  await Promise.all([$("after").decode(), $("edit-layout").decode()]).catch(() => {});
  [layout.height, layout.width] = shelf.size;
  layout.getContext("2d", { willReadFrequently: true }).drawImage($("edit-layout"), 0, 0);
  const took = Math.round(performance.now() - began);
  $("edit").dataset.ms = String(took);
  $("edit").dataset.outside = String(answer.outside);
  const from = answer.donors.length ? `; pixels or regions of ${answer.donors.join(", ")}` : "";
  const text = `${now.edit.pair}: ${percent(answer.edited)} of the pixels edited, ${answer.outside} changed outside${from}; ${took} ms`;
  $("edit-facts").textContent = text;
  $("face-facts").textContent = text;
  document.dispatchEvent(new CustomEvent("edited", { detail: answer }));
  say("");
});

export function update(now, force) {
  const key = JSON.stringify(now.edit);
  if (key === shown && !force) return;
  shown = key;
  $("steps").replaceChildren(...now.edit.steps.map((one) => make("li", { textContent: WORDS[one.kind](one) })));
  press($("pairs"), now.edit.pair);
  draw(now);
}

export async function objects(from) {
  const name = $("object-class").value;
  if (!name) {
    $("objects").textContent = "No objects were cut from these pairs.";
    return;
  }
  const found = await look(`/api/objects?name=${encodeURIComponent(name)}&first=${from}`);
  first = from + 24 >= found.total ? -24 : from;
  $("objects-more").hidden = found.total <= 24;
  $("objects").replaceChildren(
    ...found.objects.map(({ object, image }) => {
      const button = make("button", { title: `object ${object}`, onclick: () => choose(object) },
        make("img", { src: image, alt: `${name}, object ${object}`, draggable: false }));
      button.dataset.id = String(object);
      button.addEventListener("pointerdown", (event) => carry(event, object, image));
      return button;
    }),
  );
  if (found.objects.length && chosen === null) choose(found.objects[0].object, false);
}

function choose(object, takesTool = true) {
  chosen = object;
  press($("objects"), String(object));
  if (!takesTool) return;
  document.querySelector("[name=tool][value=put]").checked = true;
  hint();
}

// Drag an object out of the bank: a picture follows the pointer until it is let go.
function carry(event, object, image) {
  choose(object);
  const ghost = make("img", { src: image, className: "ghost" });
  const follow = (moved) => {
    ghost.style.left = `${moved.clientX}px`;
    ghost.style.top = `${moved.clientY}px`;
    if (!ghost.isConnected) document.body.append(ghost);
  };
  const end = (moved) => {
    ghost.remove();
    window.removeEventListener("pointermove", follow);
    window.removeEventListener("pointerup", end);
    window.removeEventListener("pointercancel", end);
    if (moved.type === "pointerup" && board.inside(moved)) {
      const [x, y] = board.at(moved);
      step({ kind: "put", object, x, y });
    }
  };
  window.addEventListener("pointermove", follow);
  window.addEventListener("pointerup", end);
  window.addEventListener("pointercancel", end);
}
