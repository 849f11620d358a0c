"use strict";
// While a sync is running, polls the status and reloads the page once the sync has finished. Without
// this script the page reloads every five seconds.
(() => {
  const running = document.querySelector("[data-running]");
  if (!running) return;
  const PAUSE = 2000; // milliseconds
  const poll = async () => {
    try {
      const answer = await fetch(running.dataset.running, { cache: "no-store" });
      if (answer.ok && !(await answer.json()).running) {
        location.reload();
        return;
      }
    } catch { /* the server is restarting: try again */ }
    setTimeout(poll, PAUSE);
  };
  setTimeout(poll, PAUSE);
})();
