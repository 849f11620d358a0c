"use strict";
// While a sync runs, asks whether it has ended, and then shows the page again. Without this script
// the page reloads every five seconds.
(() => {
  const running = document.querySelector("[data-running]");
  if (!running) return;
  const PAUSE = 2000; // milliseconds
  const look = async () => {
    try {
      const answer = await fetch(running.dataset.running, { cache: "no-store" });
      if (answer.ok && !(await answer.json()).running) {
        location.reload();
        return;
      }
    } catch { /* the server restarts: asked again */ }
    setTimeout(look, PAUSE);
  };
  setTimeout(look, PAUSE);
})();
