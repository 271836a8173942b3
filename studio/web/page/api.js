// Ask the studio, say in one line what went wrong, and keep at most one question of a kind under way.

const line = document.getElementById("line");

export function say(text, isError = false) {
  line.textContent = text;
  line.classList.toggle("error", isError);
}

async function told(response) {
  let content;
  try {
    content = await response.json();
  } catch {
    throw new Error("the studio answered with something else; load the page again");
  }
  if (!response.ok) throw new Error(content.error || "the studio failed to do this");
  return content;
}

const GONE = "The studio does not answer: start it again (make studio). Nothing is lost; this page goes on by itself.";

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    const gone = new Error(GONE);
    gone.gone = true;
    throw gone;
  }
}

export async function ask(what, body) {
  const headers = { "content-type": "application/json", "x-studio": "1" };
  return told(await reach(`/api/${what}`, { method: "POST", headers, body: JSON.stringify(body) }));
}

export async function send(path, file) {
  return told(await reach(path, { method: "POST", headers: { "x-studio": "1" }, body: file }));
}

export async function look(path) {
  return told(await reach(path, {}));
}

let waiting = null;
const left = new Set();

// Show an error; where the studio is gone, do `again` as soon as it answers.
export function failed(error, again) {
  say(error.message, true);
  if (error.gone && again) left.add(again);
  if (!error.gone || waiting) return;
  waiting = setInterval(async () => {
    try {
      await fetch("/page/api.js", { cache: "no-store" });
    } catch {
      return;
    }
    clearInterval(waiting);
    waiting = null;
    say("The studio is back.");
    const todo = [...left];
    left.clear();
    for (const one of todo) one();
  }, 1500);
}

// Return a function that does `work` for the last of many calls: one at a time, none in between.
export function latest(work) {
  let running = false;
  let next = null;
  let lost = null;
  const retry = () => run(lost);
  async function run(given) {
    if (running) {
      next = [given];
      return;
    }
    running = true;
    try {
      await work(given);
    } catch (error) {
      lost = given;
      failed(error, retry);
    }
    running = false;
    if (next) {
      const [last] = next;
      next = null;
      run(last);
    }
  }
  return run;
}

// Do something slow once, with the button out of use meanwhile.
export async function busy(button, text, work) {
  button.disabled = true;
  say(text);
  try {
    await work();
  } catch (error) {
    failed(error);
  }
  button.disabled = false;
}
