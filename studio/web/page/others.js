// Walks, and the judge.

import { ask, busy, say, send } from "./api.js";
import { $, make, options, percent, thumb } from "./dom.js";
import * as state from "./state.js";

export function start(shelf) {
  $("walk-what").onchange = () => walk({ what: $("walk-what").value });
  $("walk-to").onchange = () => walk({ to: whole($("walk-to"), 0, 9999999) });
  $("walk-frames").onchange = () => walk({ frames: whole($("walk-frames"), 2, 48) });
  $("walk-go").onclick = () => busy($("walk-go"), "The walk is being painted.", go);
  options($("cells"), shelf.cells.length ? shelf.cells : [["", "none is trained"]]);
  const best = shelf.cells.find((one) => one.startsWith("real_more/")) || shelf.cells[0];
  if (best) $("cells").value = best;
  $("judge-go").onclick = () => busy($("judge-go"), "The segmenter reads.", async () =>
    judged(await ask("judge", { cell: $("cells").value, state: state.get() })));
  $("judge-file").onchange = () => {
    const [file] = $("judge-file").files;
    if (!file) return;
    busy($("judge-go"), `The segmenter reads ${file.name}.`, async () => {
      $("judge-file").value = "";
      if (file.size > 32 * 2 ** 20) throw new Error(`${file.name} has more than 32 MB; choose a smaller picture`);
      judged(await send(`/api/judge-file?cell=${encodeURIComponent($("cells").value)}`, file));
    });
  };
}

const whole = (box, low, high) => Math.min(high, Math.max(low, Math.round(Number(box.value) || 0)));
const walk = (update) => state.change({ ...state.get(), walk: { ...state.get().walk, ...update } });

async function go() {
  const found = await ask("walk", state.get());
  $("walk-facts").textContent = found.said;
  $("walk-gif").src = found.gif;
  $("walk-gif").hidden = false;
  $("walk-save").href = found.gif;
  $("walk-save").hidden = false;
  $("strip").replaceChildren(...found.frames.map((image, n) =>
    make("div", {}, make("img", { src: found.layouts[n], alt: `layout of frame ${n + 1}` }),
      make("img", { src: image, alt: `frame ${n + 1}` }))));
  say("");
}

function judged(found) {
  for (const name of ["image", "read", "sure", "wrong"]) {
    const image = $(`judge-${name}`);
    if (found[name]) image.src = found[name];
    else image.removeAttribute("src");
  }
  $("judge-nearest").src = thumb(found.nearest.row);
  const facts = [];
  if (found.agree !== null) facts.push(`${percent(found.agree)} of the pixels are read as they are labelled`);
  facts.push(`on average ${percent(found.mean_sure)} sure`);
  if (found.missed.length) facts.push(`misses ${found.missed.join(", ")}`);
  facts.push(found.said);
  $("judge-facts").replaceChildren(...facts.map((text) => make("li", { textContent: text })));
  say("");
}

export function update(now) {
  $("walk-what").value = now.walk.what;
  $("walk-to").value = now.walk.to;
  $("walk-frames").value = now.walk.frames;
}
