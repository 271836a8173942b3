// Keep what is shown in a set, and open sets as galleries.

import { ask, busy, failed, latest, say } from "./api.js";
import { $, make, options, percent, thumb } from "./dom.js";
import * as state from "./state.js";

let shelf = null;
let sets = [];
let first = 0;
const marked = new Set();
let last = null;

export function start(found) {
  shelf = found;
  list(shelf.sets);
  const names = shelf.classes.filter((one) => one.mean > 0).map((one) => one.name);
  options($("filter-class"), [["", "any"], ...names]);
  options($("filter-cell"), [["", "nobody"], ...shelf.cells]);
  options($("filter-source"), [["", "any"]]);
  $("keep-form").onsubmit = (event) => {
    event.preventDefault();
    busy($("keep-go"), "It is made as production makes it.", keep);
  };
  for (const id of ["filter-class", "filter-least", "filter-source", "filter-cell", "filter-score"])
    $(id).onchange = () => again();
  $("sets").onchange = () => { options($("filter-source"), [["", "any"]]); again(); };
  $("gallery-more").onclick = () => { first += last.page; draw(filter()); };
  $("gallery-drop").onclick = () => busy($("gallery-drop"), "They are being deleted.", drop);
  $("export-go").onclick = () => busy($("export-go"), "The set is being written.", async () =>
    say((await ask("export", { set: $("sets").value, to: $("export-to").value })).said));
}

function list(found, chosen) {
  sets = found;
  const now = chosen || $("sets").value;
  options($("sets"), sets.map((name) => [name, name]));
  if (sets.includes(now)) $("sets").value = now;
}

async function keep() {
  const made = await ask("keep", { set: $("keep-name").value, state: state.get() });
  list(made.sets, made.set);
  await refresh();
  say(`${made.id} is in ${made.set}.`);
}

async function drop() {
  if (!marked.size) return say("Mark pairs first.");
  const found = await ask("drop", { set: $("sets").value, ids: [...marked] });
  list(found.sets);
  await refresh();
  return say(`${found.left} are left.`);
}

const filter = () => ({
  set: $("sets").value,
  source: $("filter-source").value || null,
  name: $("filter-class").value || null,
  least: share("filter-least"),
  cell: $("filter-cell").value || null,
  score: share("filter-score"),
  first,
});

const share = (id) => Math.min(1, Math.max(0, Number($(id).value) / 100 || 0));

async function refresh() {
  first = 0;
  await fill(filter());
}

export function again() {
  first = 0;
  draw(filter());
}

async function fill(wanted) {
  if (!wanted.set) return;
  $("gallery").setAttribute("aria-busy", "true");
  if (wanted.cell) say("The segmenter reads the pairs.");
  try {
    last = await ask("gallery", wanted);
  } finally {
    $("gallery").setAttribute("aria-busy", "false");
  }
  if (!wanted.first) {
    marked.clear();
    $("gallery").replaceChildren();
  }
  options($("filter-source"), [["", "any"], ...last.sources], wanted.source || "");
  $("gallery").append(...last.items.map(item));
  const shown = $("gallery").childElementCount;
  $("gallery-facts").textContent = `${last.total} pairs pass the filters of class and source; ${shown} are shown`;
  $("gallery-more").hidden = wanted.first + last.page >= last.total;
  $("gallery-drop").hidden = !last.kept;
  $("shard").href = `/shard?set=${encodeURIComponent(wanted.set)}`;
  say("");
}

const draw = latest(fill);

function item(one) {
  const set = $("sets").value;
  const text = one.score === null ? one.id : `${one.id}: ${percent(one.score)}`;
  const facts = [one.parent && `on ${one.parent}`, one.style && `in the look of ${one.style}`, one.donors.length && `with ${one.donors.join(", ")}`];
  const title = [text, ...facts.filter(Boolean)].join("; ");
  const image = make("img", { src: thumb(one.row, set), alt: title, loading: "lazy" });
  const label = make("img", { src: thumb(one.row, set, "label"), alt: "", loading: "lazy" });
  const figure = make("figure", { title }, image, label, make("figcaption", { textContent: text }));
  if (!last.kept) return figure;
  const open = make("button", { textContent: "open", onclick: () => reopen(set, one.id) });
  const mark = make("input", { type: "checkbox", onchange: () => (mark.checked ? marked.add(one.id) : marked.delete(one.id)) });
  figure.append(make("label", {}, mark, " mark"), open);
  return figure;
}

async function reopen(set, id) {
  try {
    const found = await ask("state", { set, id });
    if (!found.state) return say("Nobody wrote down how this pair was made.");
    state.change(found.state);
    return state.goTo(found.state.shown === "edit" ? "edit" : "palette");
  } catch (error) {
    return failed(error);
  }
}

export function update(now) {
  $("keep-shown").textContent = now.shown === "edit" ? `the edit of ${now.edit.pair}` : "the scene of the palette";
}
