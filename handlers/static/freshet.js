"use strict";
// New releases come in while the page is open: the server says that there are some, the page is
// read anew out of sight, and what is new in it waits behind a button, so that nothing moves
// under anybody's eyes. Without this script all is there after a reload.
(() => {
  const tiles = document.querySelector("[data-live]");
  const waiting = document.querySelector("[data-waiting]");
  const address = tiles ? tiles.dataset.live : waiting && waiting.dataset.waiting;
  if (!address || !window.EventSource) return;
  const news = document.getElementById("news");
  const PAUSE = 1000, SPREAD = 2000, RETRY = 10000, TRIES = 3; // milliseconds, and how often
  let stream = null, last = "", timer = 0, fresh = null;

  const ids = () => new Set(Array.from(tiles.children, each => each.id));

  const read = async () => {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };

  // Those who watch do not all ask at once; a process that has not heard of it yet is asked again.
  const look = (tries = TRIES, pause = PAUSE + Math.random() * SPREAD) => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      try {
        const page = await read();
        if (waiting) {
          if (!page.querySelector("[data-waiting]")) location.reload();
          else if (tries > 1) look(tries - 1, RETRY / 2);
          return;
        }
        const known = ids();
        const count = Array.from(page.querySelectorAll("[data-live] > li")).filter(each => !known.has(each.id)).length;
        if (count) offer(page, count);
        else if (tries > 1) look(tries - 1, RETRY / 2);
      } catch {
        if (tries > 1) look(tries - 1, RETRY);
      }
    }, pause);
  };

  const offer = (page, count) => {
    fresh = page;
    const text = `Show ${count} new release${count === 1 ? "" : "s"}`;
    let button = news.querySelector("button");
    if (!button) {
      button = document.createElement("button");
      button.className = "button main";
      button.addEventListener("click", show);
      news.replaceChildren(button);
    }
    if (button.textContent !== text) button.textContent = text;
  };

  const show = () => {
    const known = ids(), added = [];
    let place = tiles.firstElementChild;
    for (const each of fresh.querySelectorAll("[data-live] > li")) {
      if (known.has(each.id)) {
        const here = document.getElementById(each.id);
        place = here.nextElementSibling;
        continue;
      }
      const made = document.importNode(each, true);
      made.classList.add("fresh");
      tiles.insertBefore(made, place);
      added.push(made);
    }
    document.getElementById("count").textContent = fresh.getElementById("count").textContent;
    const said = document.createElement("span");
    said.className = "unseen";
    said.textContent = `${added.length} new release${added.length === 1 ? " is" : "s are"} shown.`;
    news.replaceChildren(said);
    const link = added.length && added[0].querySelector("a");
    if (link) link.focus();
  };

  const listen = () => {
    if (stream) return;
    stream = new EventSource(last ? `${address}?after=${last}` : address);
    const heard = event => { last = event.lastEventId; look(); };
    stream.addEventListener("added", heard);
    // Something was missed, perhaps also deletions: all pages that are open do not ask at once.
    stream.addEventListener("reset", () => setTimeout(() => location.reload(), PAUSE + Math.random() * SPREAD));
    stream.addEventListener("open", () => { if (waiting) look(1, 0); });
    stream.addEventListener("error", () => {
      if (stream && stream.readyState === EventSource.CLOSED) { // refused: for now, or for long
        hush();
        setTimeout(() => { if (!document.hidden) listen(); look(1); }, RETRY);
      }
    });
  };
  const hush = () => { if (stream) stream.close(); stream = null; };

  // A browser has six connections to a server of HTTP/1.1 in all: only who looks holds one.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hush();
    else { listen(); look(1, 0); }
  });
  addEventListener("pagehide", hush);
  addEventListener("pageshow", event => { if (event.persisted) { listen(); look(1, 0); } });
  if (!document.hidden) listen();
})();
