"use strict";
// Tries calls in place. Without this file the forms open the answers as pages of their own.
const SHOWN = 100000; // characters of an answer
const PATIENCE = 30000; // milliseconds
const HEADERS = ["Content-Type", "ETag", "Last-Modified", "Cache-Control", "X-Last-Sync", "Link", "Retry-After"];
const TEXT = /^text\/|json|xml|javascript|yaml|calendar|csv/;

const make = (tag, text = "", attributes = {}) => {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

const size = (bytes) => bytes < 1000 ? `${bytes} B`
  : bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const pretty = (text, type) => {
  try {
    return type.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text;
  } catch {
    return text;
  }
};

// What the fields of a card mean: as server/openapi/form_fields.py reads them. Empty ones are left out.
function readCall(card) {
  let path = card.dataset.path;
  const pairs = new URLSearchParams(), headers = {}, gaps = [];
  for (const field of card.querySelectorAll("[data-place]")) {
    const { name, place, separator } = field.dataset;
    let values = [...field.querySelectorAll("input, select")]
      .filter((each) => each.type !== "checkbox" || each.checked)
      .map((each) => each.value).filter(Boolean);
    if ("list" in field.dataset) values = values.flatMap((each) => each.split(",")).filter(Boolean);
    if (!values.length) {
      if (place === "path") gaps.push(name);
      continue;
    }
    if (separator !== undefined) values = [values.join(separator)];
    if (place === "path") {
      path = path.replaceAll(`{${name}}`, () => encodeURIComponent(values[0]).replaceAll("%2C", ","));
    } else if (place === "header") headers[name] = values[0];
    else for (const each of values) pairs.append(name, each);
  }
  const query = String(pairs).replaceAll("%2C", ",");
  return { url: new URL(path + (query && `?${query}`), location.origin).href, headers, gaps };
}

function curl({ url, headers, gaps }, stream) {
  for (const name of gaps) url = url.replaceAll(`%7B${name}%7D`, `{${name}}`);
  const words = Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  return ["curl", ...(stream ? ["-N"] : []), ...words, quoted(url)].join(" ");
}

async function copy(pre, button) {
  try {
    await navigator.clipboard.writeText(pre.textContent);
    button.textContent = "Copied";
  } catch { // there is no clipboard where the page came by plain http
    getSelection().selectAllChildren(pre);
    button.textContent = "Marked: press Ctrl+C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2500);
}

function listHeaders(response) {
  const list = make("dl");
  for (const name of HEADERS) {
    const value = response.headers.get(name);
    if (value) list.append(make("dt", name), make("dd", value));
  }
  return list;
}

function explain(problem) {
  const box = make("div", "", { class: "note" });
  box.append(make("strong", problem.title || "This did not work"));
  if (problem.detail) box.append(make("p", problem.detail));
  if (Array.isArray(problem.errors) && problem.errors.length) {
    const list = make("ul");
    for (const { parameter, value, reason } of problem.errors) {
      const item = make("li");
      item.append(make("code", value === null ? parameter : `${parameter}=${value}`), ` ${reason}`);
      list.append(item);
    }
    box.append(list);
  }
  return box;
}

function showBody(text, type, url) {
  const parts = [], whole = pretty(text, type);
  if (type.includes("problem+json")) {
    try { parts.push(explain(JSON.parse(text))); } catch { /* shown as it is */ }
  }
  if (whole.length > SHOWN) {
    const cut = make("p", `This is long: the first ${SHOWN.toLocaleString("en")} of `
      + `${whole.length.toLocaleString("en")} characters are shown. `, { class: "note cut" });
    cut.append(make("a", "Open it whole", { href: url }));
    parts.push(cut);
  }
  if (whole) {
    const label = { tabindex: "0", role: "region", "aria-label": "The answer" };
    parts.push(make("pre", whole.slice(0, SHOWN), label));
  }
  return parts;
}

class Trial {
  constructor(card) {
    this.card = card;
    this.form = card.querySelector("form");
    this.state = card.querySelector(".state");
    this.pre = card.querySelector(".command pre");
    this.reply = make("div", "", { class: "reply" });
    this.state.after(this.reply);
    this.etags = new Map(); // of the answer that is shown, by address
  }

  begin() {
    const button = make("button", "Copy", { class: "button", type: "button", "aria-live": "polite" });
    button.addEventListener("click", () => copy(this.pre, button));
    this.pre.after(button);
    if (!this.form) return;
    const stream = "stream" in this.card.dataset;
    const tell = () => { this.pre.textContent = curl(readCall(this.card), stream); };
    this.form.addEventListener("input", tell);
    this.form.addEventListener("reset", () => setTimeout(tell));
    tell();
    if (stream) return;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask(readCall(this.card));
    });
  }

  say(text, bad = false) {
    this.state.textContent = text;
    this.state.classList.toggle("bad", bad);
  }

  async ask({ url, headers }) {
    this.running?.abort();
    const running = this.running = new AbortController();
    const timer = setTimeout(() => running.abort("late"), PATIENCE);
    const etag = this.etags.get(url);
    const sent = etag ? { "If-None-Match": etag, ...headers } : headers;
    this.say("Asking…");
    try {
      const begun = performance.now();
      const response = await fetch(url, { headers: sent, cache: "no-store", signal: running.signal });
      const body = await response.arrayBuffer();
      this.show(response, body, Math.round(performance.now() - begun), url, etag);
    } catch (error) {
      if (running !== this.running) return; // another try has taken its place
      this.etags.clear();
      this.reply.replaceChildren();
      this.say(running.signal.reason === "late"
        ? `No answer within ${PATIENCE / 1000} seconds. The server may be busy; try again.`
        : this.wrong(headers)
          ? "A header has a character that headers cannot have."
          : "No answer: the server could not be reached. Is it running, and are you online?", true);
    } finally {
      clearTimeout(timer);
    }
  }

  wrong(headers) {
    try { new Headers(headers); return false; } catch { return true; }
  }

  show(response, body, milliseconds, url, etag) {
    const bytes = size(body.byteLength);
    const status = `${response.status} ${response.statusText}`.trim();
    const list = listHeaders(response);
    if (response.status === 304) {
      this.say(`${status} in ${milliseconds} ms, no body: what is shown below is still the answer.`);
      list.prepend(make("dt", "Sent"), make("dd", `If-None-Match: ${etag}`));
      this.reply.querySelector("dl").replaceWith(list);
      return;
    }
    const type = response.headers.get("Content-Type") || "";
    const parts = TEXT.test(type) || !body.byteLength
      ? showBody(new TextDecoder().decode(body), type, url)
      : [make("p", `${bytes} of ${type || "no type"}, not shown as text.`)];
    this.etags.clear();
    if (response.ok && response.headers.get("ETag")) this.etags.set(url, response.headers.get("ETag"));
    this.reply.replaceChildren(list, ...parts);
    this.say(`${status} in ${milliseconds} ms, ${bytes}`, !response.ok);
  }
}

for (const card of document.querySelectorAll(".operation")) new Trial(card).begin();
