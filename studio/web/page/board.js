// The picture that is edited: pressing, dragging and letting go, by pointer or by keys.

import { $ } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const FAR = 8;
let size = [1, 1];
let hear = () => {};
let down = null;
let cross = null;
let byKey = false;

// `hear(kind, from, to, points)` is called with kind press, move or release and pixels [x, y].
export function start(given, listener) {
  size = given;
  hear = listener;
  const board = $("board");
  $("over").setAttribute("viewBox", `0 0 ${size[1]} ${size[0]}`);
  $("over").setAttribute("preserveAspectRatio", "none");
  board.addEventListener("pointerdown", (event) => {
    board.focus({ preventScroll: true });
    board.setPointerCapture(event.pointerId);
    byKey = false;
    press(at(event));
    event.preventDefault();
  });
  board.addEventListener("pointermove", (event) => move(at(event)));
  board.addEventListener("pointerup", () => release());
  board.addEventListener("pointercancel", cancel);
  board.addEventListener("keydown", key);
  board.addEventListener("blur", () => { if (byKey) cancel(); });
}

// The pixel below a pointer, kept inside the picture.
export function at(event) {
  const box = $("board").getBoundingClientRect();
  const x = Math.floor(((event.clientX - box.left) / box.width) * size[1]);
  const y = Math.floor(((event.clientY - box.top) / box.height) * size[0]);
  return [clamp(x, size[1]), clamp(y, size[0])];
}

export const inside = (event) => {
  const box = $("board").getBoundingClientRect();
  return event.clientX >= box.left && event.clientX < box.right && event.clientY >= box.top && event.clientY < box.bottom;
};

const clamp = (value, limit) => Math.min(limit - 1, Math.max(0, value));

function press(place) {
  down = { from: place, to: place, points: [place] };
  cross = place;
  hear("press", place, place, down.points);
}

function move(place) {
  cross = place;
  if (down) {
    const last = down.points.at(-1);
    if (last[0] !== place[0] || last[1] !== place[1]) down.points.push(place);
    down.to = place;
  }
  hear("move", down && down.from, place, down ? down.points : []);
}

function release() {
  if (!down) return;
  const { from, to, points } = down;
  down = null;
  hear("release", from, to, points);
}

function cancel() {
  down = null;
  hear("cancel", null, cross, []);
}

function key(event) {
  const far = event.shiftKey ? FAR : 1;
  const way = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[event.key];
  cross = cross || [Math.floor(size[1] / 2), Math.floor(size[0] / 2)];
  if (way) move([clamp(cross[0] + way[0], size[1]), clamp(cross[1] + way[1], size[0])]);
  else if (event.key === " " || event.key === "Enter") {
    byKey = true;
    if (down) release();
    else press(cross);
  } else if (event.key === "Escape") cancel();
  else return;
  event.preventDefault();
}

// Draw what is about to happen: a box, a line of the brush, and the cross of the keyboard.
export function overlay(shape) {
  const over = $("over");
  over.replaceChildren();
  if (shape && shape.box) {
    const [x, y, width, height] = shape.box;
    add(over, "rect", { x, y, width, height });
  }
  if (shape && shape.line)
    add(over, "polyline", {
      points: (shape.line.length === 1 ? [shape.line[0], shape.line[0]] : shape.line)
        .map(([x, y]) => `${x + 0.5},${y + 0.5}`).join(" "),
      stroke: shape.color, "stroke-width": shape.width,
    });
  if (cross && document.activeElement === $("board")) {
    const [x, y] = [cross[0] + 0.5, cross[1] + 0.5];
    add(over, "path", { d: `M${x - 3} ${y}H${x + 3}M${x} ${y - 3}V${y + 3}` });
  }
}

function add(over, tag, given) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(given)) element.setAttribute(name, value);
  over.append(element);
}

export const isDown = () => down !== null;
