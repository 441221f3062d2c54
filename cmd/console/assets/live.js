"use strict";
// Keeps the page's parts up to date. The HTML comes from this server, escaped there.
(() => {
  const live = document.getElementById("live");
  const pause = document.getElementById("pause");
  const latest = new Map(); // what came while the reader was busy with the part
  let source = null;
  let paused = false;

  const tell = (text, tone) => {
    if (live.textContent !== text) live.textContent = text;
    live.className = "live " + tone;
  };

  // A part in which something is selected or focused is left alone until it is free.
  const busy = (part) => {
    const selection = document.getSelection();
    const selected = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
    const focused = document.activeElement;
    return selected || (focused !== part && part.contains(focused));
  };

  const show = () => {
    for (const [id, html] of latest) {
      const part = document.getElementById(id);
      if (!part || busy(part)) continue;
      part.innerHTML = html;
      latest.delete(id);
    }
  };

  const open = () => {
    source = new EventSource("/events?lang=" + encodeURIComponent(document.body.dataset.lang));
    source.addEventListener("view", (event) => {
      for (const [id, html] of Object.entries(JSON.parse(event.data))) latest.set(id, html);
      show();
      tell(live.dataset.live, "good");
    });
    source.addEventListener("error", () => {
      tell(live.dataset.lost, "bad");
      if (source.readyState === EventSource.CLOSED) { // refused: the browser doesn't try again
        source = null;
        setTimeout(() => { if (!paused && !source) open(); }, 3000);
      }
    });
  };

  const close = () => {
    if (source) source.close();
    source = null;
  };

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? pause.dataset.resume : pause.dataset.pause;
    if (paused) {
      close();
      tell(live.dataset.paused, "");
    } else {
      open();
    }
  });
  open();
})();
