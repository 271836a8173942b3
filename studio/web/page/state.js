// The one state of the page: what a link holds, and what can be stepped back through.

const MOST = 200;
const past = [];
let future = [];
let now = null;
const listeners = [];

export const get = () => now;
export const listen = (listener) => listeners.push(listener);
export const encode = (state) =>
  btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(state))))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

export function decode(text) {
  try {
    const bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (c) => c.charCodeAt(0))));
  } catch {
    return null;
  }
}

function tell(part) {
  history.replaceState(null, "", `#${part || currentPart()}.${encode(now)}`);
  for (const listener of listeners) listener(now);
}

export function currentPart() {
  return location.hash.slice(1).split(".")[0] || "palette";
}

export function fromLink() {
  const [, text] = location.hash.slice(1).split(".");
  return text ? decode(text) : null;
}

export function begin(state, part) {
  now = state;
  tell(part);
}

// Change the state. Calls with the same `kind` in a row (a slider that is dragged) are one step.
let lastKind = null;
export function change(next, kind = null) {
  if (kind === null || kind !== lastKind) {
    past.push(now);
    if (past.length > MOST) past.shift();
  }
  lastKind = kind;
  future = [];
  now = next;
  tell();
}

export const settle = () => { lastKind = null; };

export function undo() {
  if (!past.length) return false;
  future.push(now);
  now = past.pop();
  lastKind = null;
  tell();
  return true;
}

export function redo() {
  if (!future.length) return false;
  past.push(now);
  now = future.pop();
  lastKind = null;
  tell();
  return true;
}

export const steps = () => [past.length, future.length];
export const goTo = (part) => tell(part);
export const scene = (update, kind) =>
  change({ ...now, shown: "scene", scene: { ...now.scene, ...update } }, kind);
export const edit = (update, kind) =>
  change({ ...now, shown: "edit", edit: { ...now.edit, ...update } }, kind);
