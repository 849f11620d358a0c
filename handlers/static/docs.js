"use strict";
// Sends requests from the forms and shows the responses in place. Without this script the forms open
// the responses as pages.
const SHOWN_CHARACTERS = 100000; // of a response body
const TIMEOUT = 30000; // milliseconds
const HEADERS = ["Content-Type", "ETag", "Last-Modified", "Cache-Control", "X-Last-Sync", "Link", "Retry-After"];
const KEY = document.querySelector("#access-key"); // its value goes nowhere but into requests
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

// The request that a form describes, as in server/openapi/form_fields.py; empty fields are left out.
function readRequest(card) {
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
  if ("key" in card.dataset && KEY.value.trim()) headers.Authorization = `Bearer ${KEY.value.trim()}`;
  const query = String(pairs).replaceAll("%2C", ",");
  return { url: new URL(path + (query && `?${query}`), location.origin).href, headers, gaps };
}

function curl({ url, headers, gaps }, { stream, key }) {
  if (key !== undefined) headers = { ...headers, Authorization: "Bearer …" };
  for (const name of gaps) url = url.replaceAll(`%7B${name}%7D`, `{${name}}`);
  const words = Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  return ["curl", ...(stream !== undefined ? ["-N"] : []), ...words, quoted(url)].join(" ");
}

async function copy(pre, button) {
  try {
    await navigator.clipboard.writeText(pre.textContent);
    button.textContent = "Copied";
  } catch { // over plain http, browsers have no clipboard
    getSelection().selectAllChildren(pre);
    button.textContent = "Selected: press Ctrl+C";
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
  box.append(make("strong", problem.title || "Request failed"));
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
    try { parts.push(explain(JSON.parse(text))); } catch { /* not JSON: only the text is shown */ }
  }
  if (whole.length > SHOWN_CHARACTERS) {
    const cut = make("p", `Showing the first ${SHOWN_CHARACTERS.toLocaleString("en")} of `
      + `${whole.length.toLocaleString("en")} characters. `, { class: "note cut" });
    cut.append(make("a", "Open the full response", { href: url }));
    parts.push(cut);
  }
  if (whole) {
    const label = { tabindex: "0", role: "region", "aria-label": "Response" };
    parts.push(make("pre", whole.slice(0, SHOWN_CHARACTERS), label));
  }
  return parts;
}

class RequestForm {
  constructor(card) {
    this.card = card;
    this.form = card.querySelector("form");
    this.state = card.querySelector(".state");
    this.pre = card.querySelector(".command pre");
    this.reply = make("div", "", { class: "reply" });
    this.state.after(this.reply);
    this.etags = new Map(); // of the response that is shown, by URL
  }

  start() {
    const button = make("button", "Copy", { class: "button", type: "button", "aria-live": "polite" });
    button.addEventListener("click", () => copy(this.pre, button));
    this.pre.after(button);
    if (!this.form) return;
    const stream = "stream" in this.card.dataset;
    const updateCommand = () => { this.pre.textContent = curl(readRequest(this.card), this.card.dataset); };
    this.form.addEventListener("input", updateCommand);
    this.form.addEventListener("reset", () => setTimeout(updateCommand));
    updateCommand();
    if (stream) return;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(readRequest(this.card));
    });
  }

  setState(text, bad = false) {
    this.state.textContent = text;
    this.state.classList.toggle("bad", bad);
  }

  async send({ url, headers }) {
    this.running?.abort();
    const running = this.running = new AbortController();
    const timer = setTimeout(() => running.abort("timeout"), TIMEOUT);
    const etag = this.etags.get(url);
    const sent = etag ? { "If-None-Match": etag, ...headers } : headers;
    this.setState("Sending…");
    try {
      const startedAt = performance.now();
      const credentials = headers.Authorization ? "omit" : "same-origin"; // with a key, no session
      const response = await fetch(url, { headers: sent, credentials, cache: "no-store", signal: running.signal });
      const body = await response.arrayBuffer();
      this.show(response, body, Math.round(performance.now() - startedAt), url, etag);
    } catch (error) {
      if (running !== this.running) return; // a newer request has replaced this one
      this.etags.clear();
      this.reply.replaceChildren();
      this.setState(running.signal.reason === "timeout"
        ? `No response within ${TIMEOUT / 1000} seconds. The server may be busy; try again.`
        : this.areInvalid(headers)
          ? "A header contains a character that is not allowed."
          : "The server could not be reached. Is it running, and are you online?", true);
    } finally {
      clearTimeout(timer);
    }
  }

  areInvalid(headers) {
    try { new Headers(headers); return false; } catch { return true; }
  }

  show(response, body, milliseconds, url, etag) {
    const bytes = size(body.byteLength);
    const status = `${response.status} ${response.statusText}`.trim();
    const list = listHeaders(response);
    if (response.status === 304) {
      this.setState(`${status} in ${milliseconds} ms, no body: the response below is still current.`);
      list.prepend(make("dt", "Sent"), make("dd", `If-None-Match: ${etag}`));
      this.reply.querySelector("dl").replaceWith(list);
      return;
    }
    const type = response.headers.get("Content-Type") || "";
    const parts = TEXT.test(type) || !body.byteLength
      ? showBody(new TextDecoder().decode(body), type, url)
      : [make("p", `${bytes} of ${type || "an unknown type"}, not shown as text.`)];
    this.etags.clear();
    if (response.ok && response.headers.get("ETag")) this.etags.set(url, response.headers.get("ETag"));
    this.reply.replaceChildren(list, ...parts);
    this.setState(`${status} in ${milliseconds} ms, ${bytes}`, !response.ok);
  }
}

if (KEY) KEY.closest("p").hidden = false;
for (const card of document.querySelectorAll(".operation")) new RequestForm(card).start();
