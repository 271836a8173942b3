// The page: which part is open, stepping back, and links.

import { ask, failed, say } from "./api.js";
import { $, make } from "./dom.js";
import * as edit from "./edit.js";
import * as faces from "./faces.js";
import * as keep from "./keep.js";
import * as others from "./others.js";
import * as palette from "./palette.js";
import * as state from "./state.js";

const PARTS = ["palette", "edit", "faces", "walks", "judge", "keep"];
let open = null;

async function start() {
  let shelf;
  try {
    shelf = await ask("shelf", {});
  } catch (error) {
    failed(error, start);
    return;
  }
  for (const name of ["report", "study"]) $(name).hidden = !shelf.pages.includes(name);
  if (shelf.missing.length) return lacking(shelf);
  palette.start(shelf);
  edit.start(shelf);
  faces.start(shelf);
  others.start(shelf);
  keep.start(shelf);
  state.listen(update);
  for (const tab of $("tabs").children) tab.onclick = () => state.goTo(tab.dataset.part);
  $("tabs").addEventListener("keydown", arrows);
  $("undo").onclick = state.undo;
  $("redo").onclick = state.redo;
  $("link").onclick = copy;
  document.addEventListener("keydown", shortcut);
  window.addEventListener("hashchange", linked);
  state.begin(await wanted(shelf), PARTS.includes(state.currentPart()) ? state.currentPart() : "palette");
}

// The state of the link, where the studio takes it: links may be of other artifacts, or damaged.
async function wanted(shelf) {
  if (!location.hash.includes(".")) return shelf.state;
  const found = state.fromLink();
  try {
    if (!found) throw new Error("this link is damaged; the page starts anew");
    await ask(found.shown === "edit" ? "edit" : "scene", found);
    return found;
  } catch (error) {
    setTimeout(() => failed(error), 600);
    return shelf.state;
  }
}

// An address that was typed or pasted while the page is open.
async function linked() {
  const found = state.fromLink();
  if (JSON.stringify(found) === JSON.stringify(state.get())) return update(state.get());
  try {
    if (!found) throw new Error("this link is damaged; the page stays as it was");
    await ask(found.shown === "edit" ? "edit" : "scene", found);
    state.change(found);
  } catch (error) {
    state.goTo();
    failed(error);
  }
  return undefined;
}

function lacking(shelf) {
  $("missing").hidden = false;
  $("lacks").replaceChildren(...shelf.missing.map((text) => make("li", { textContent: text })));
  $("command").textContent = shelf.command;
  $("takes").textContent = shelf.takes;
  for (const button of document.querySelectorAll("header button")) button.disabled = true;
}

function update(now) {
  const part = PARTS.includes(state.currentPart()) ? state.currentPart() : "palette";
  for (const name of PARTS) $(name).hidden = name !== part;
  for (const tab of $("tabs").children) {
    tab.setAttribute("aria-selected", String(tab.dataset.part === part));
    tab.tabIndex = tab.dataset.part === part ? 0 : -1;
  }
  const [back, forth] = state.steps();
  $("undo").disabled = !back;
  $("redo").disabled = !forth;
  if (part === "palette") palette.update(now);
  if (part === "edit" || part === "faces") edit.update(now);
  faces.update(now);
  others.update(now);
  keep.update(now);
  if (part !== open && part === "keep") keep.again();
  if (part !== open && part === "edit") edit.objects(0).catch(failed);
  open = part;
}

function arrows(event) {
  const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!way) return;
  const tabs = [...$("tabs").children];
  const next = tabs[(tabs.indexOf(document.activeElement) + way + tabs.length) % tabs.length];
  next.focus();
  next.click();
}

function shortcut(event) {
  const typing = event.target.matches("input:not([type=range]):not([type=checkbox]):not([type=radio])");
  if (!(event.ctrlKey || event.metaKey) || typing) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) state.undo();
  else if (key === "y" || (key === "z" && event.shiftKey)) state.redo();
  else return;
  event.preventDefault();
}

async function copy() {
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied; it shows this again wherever these artifacts are.");
  } catch {
    say(`Copy the address of this page: ${location.href.slice(0, 40)}…`);
  }
}

start();
