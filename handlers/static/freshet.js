"use strict";
// Shows new releases while the page is open: on an event from the server, the page is fetched again
// in the background, and its new releases are offered behind a button, so that nothing moves while
// the page is being read. Without this script they appear after a reload.
(() => {
  const cards = document.querySelector("[data-live]");
  const waiting = document.querySelector("[data-waiting]");
  const address = cards ? cards.dataset.live : waiting && waiting.dataset.waiting;
  if (!address || !window.EventSource) return;
  const news = document.getElementById("news");
  const PAUSE = 1000, SPREAD = 2000, RETRY = 10000, TRIES = 3; // milliseconds, and a number
  let stream = null, last = "", timer = 0, fresh = null;

  const ids = () => new Set(Array.from(cards.children, each => each.id));

  const read = async () => {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };

  // The delay is random, so that not all open pages send a request at once. The tries are for a
  // server process that has not read the new releases yet.
  const refresh = (tries = TRIES, pause = PAUSE + Math.random() * SPREAD) => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      try {
        const page = await read();
        if (waiting) {
          if (!page.querySelector("[data-waiting]")) location.reload();
          else if (tries > 1) refresh(tries - 1, RETRY / 2);
          return;
        }
        const known = ids();
        const count = Array.from(page.querySelectorAll("[data-live] > li")).filter(each => !known.has(each.id)).length;
        if (count) offer(page, count);
        else if (tries > 1) refresh(tries - 1, RETRY / 2);
      } catch {
        if (tries > 1) refresh(tries - 1, RETRY);
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
    let place = cards.firstElementChild;
    for (const each of fresh.querySelectorAll("[data-live] > li")) {
      if (known.has(each.id)) {
        const here = document.getElementById(each.id);
        place = here.nextElementSibling;
        continue;
      }
      const made = document.importNode(each, true);
      made.classList.add("fresh");
      cards.insertBefore(made, place);
      added.push(made);
    }
    document.getElementById("count").textContent = fresh.getElementById("count").textContent;
    const status = document.createElement("span");
    status.className = "visually-hidden";
    status.textContent = `${added.length} new release${added.length === 1 ? " is" : "s are"} shown.`;
    news.replaceChildren(status);
    const link = added.length && added[0].querySelector("a");
    if (link) link.focus();
  };

  const connect = () => {
    if (stream) return;
    stream = new EventSource(last ? `${address}?after=${last}` : address);
    const onAdded = event => { last = event.lastEventId; refresh(); };
    stream.addEventListener("added", onAdded);
    // Changes were missed, perhaps deletions too. Open pages reload at random times, not all at once.
    stream.addEventListener("reset", () => setTimeout(() => location.reload(), PAUSE + Math.random() * SPREAD));
    stream.addEventListener("open", () => { if (waiting) refresh(1, 0); });
    stream.addEventListener("error", () => {
      if (stream && stream.readyState === EventSource.CLOSED) { // refused, perhaps only for now
        disconnect();
        setTimeout(() => { if (!document.hidden) connect(); refresh(1); }, RETRY);
      }
    });
  };
  const disconnect = () => { if (stream) stream.close(); stream = null; };

  // A browser opens at most six HTTP/1.1 connections to a server: only visible pages keep one.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) disconnect();
    else { connect(); refresh(1, 0); }
  });
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", event => { if (event.persisted) { connect(); refresh(1, 0); } });
  if (!document.hidden) connect();
})();
