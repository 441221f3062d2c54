"use strict";
// Keeps the part of a page that changes up to date. The HTML comes from this server,
// escaped there. The part is left alone while somebody selects or uses something in it.
(() => {
  const part = document.getElementById("live");
  const note = document.getElementById("live-note");
  if (!part || !note) return;
  const busy = () => {
    const selection = document.getSelection();
    const selected = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
    const focused = document.activeElement;
    return document.hidden || selected || (part.contains(focused) && focused.tagName !== "DIV");
  };
  const tell = (text, tone) => {
    if (note.textContent !== text) note.textContent = text;
    note.className = "live " + tone;
  };
  const look = async () => {
    if (busy()) return;
    try {
      const answer = await fetch(location.href, { headers: { "X-Tributary-Live": "1" }, redirect: "error" });
      if (!answer.ok) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
      if (!fresh) throw new Error("no part");
      const open = [...part.querySelectorAll("details")].map((d) => d.open);
      if (!busy() && fresh.innerHTML !== part.innerHTML) {
        part.innerHTML = fresh.innerHTML;
        part.querySelectorAll("details").forEach((d, i) => { d.open = open[i] || false; });
      }
      tell(note.dataset.live, "good");
    } catch {
      tell(note.dataset.lost, "bad");
    }
  };
  tell(note.dataset.live, "good");
  setInterval(look, 1000 * Number(part.dataset.every || 5));
})();
