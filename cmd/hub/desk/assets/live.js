"use strict";
// Keeps the part of a page that changes up to date by the server's events. The HTML comes
// from this server, escaped there. The part is left alone while somebody selects or uses
// something in it, and nothing is asked while nobody looks.
(() => {
  const part = document.getElementById("live");
  const note = document.getElementById("live-note");
  if (!part || !note) return;
  let source = null;
  let latest = null; // what came while the reader was busy with the part
  let losing = 0;

  const busy = () => {
    const selection = document.getSelection();
    const selected = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
    const focused = document.activeElement;
    return selected || (part.contains(focused) && focused.tagName !== "DIV");
  };

  const tell = (text, tone) => {
    if (note.textContent !== text) note.textContent = text;
    note.className = "live " + tone;
  };

  const well = () => {
    clearTimeout(losing);
    losing = 0;
    tell(note.dataset.live, "good");
  };

  // A connection that comes back at once, as it does when the server has it ask anew, isn't lost.
  const lost = () => {
    if (!losing) losing = setTimeout(() => tell(note.dataset.lost, "bad"), 5000);
  };

  const show = () => {
    if (latest === null || busy()) return;
    const open = [...part.querySelectorAll("details")].map((d) => d.open);
    part.innerHTML = latest;
    part.querySelectorAll("details").forEach((d, i) => { d.open = open[i] || false; });
    latest = null;
  };

  const open = () => {
    if (source) return;
    source = new EventSource("/live?of=" + encodeURIComponent(location.pathname + location.search));
    source.addEventListener("open", well);
    source.addEventListener("view", (event) => {
      latest = JSON.parse(event.data);
      show();
    });
    source.addEventListener("error", () => {
      lost();
      if (source && source.readyState === EventSource.CLOSED) { // refused: the browser doesn't try again
        source = null;
        setTimeout(() => { if (!document.hidden) open(); }, 5000);
      }
    });
  };

  const close = () => {
    if (source) source.close();
    source = null;
  };

  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  document.addEventListener("focusout", () => setTimeout(show, 0));
  document.addEventListener("selectionchange", show);
  if (!document.hidden) open();
})();
