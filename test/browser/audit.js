// Lists what is wrong with how the page is shown: overflow, contrast, landmarks,
// names, headings and sizes (WCAG 2.2: 1.3.1, 1.4.3, 1.4.10, 2.4.1, 2.4.6, 2.5.8, 4.1.2).
(() => {
  const wrong = [];
  const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + (e.className && typeof e.className === "string" ? "." + e.className.trim().replaceAll(" ", ".") : "") + " " + JSON.stringify((e.innerText || "").slice(0, 40));
  const shown = (e) => e.getClientRects().length > 0 && e.checkVisibility() && getComputedStyle(e).visibility === "visible";
  const all = [...document.body.querySelectorAll("*")];
  const aside = (e) => e.closest(".skip:not(:focus), .away, thead") !== null && getComputedStyle(e.closest(".skip:not(:focus), .away, thead")).position === "absolute";

  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) wrong.push(`the page is ${document.documentElement.scrollWidth} px wide, the window ${width}`);
  for (const e of all) {
    if (!shown(e) || aside(e)) continue;
    const r = e.getBoundingClientRect();
    if (r.right > width + 1 || r.left < -1) wrong.push(`stands outside the window: ${name(e)} from ${r.left} to ${r.right}`);
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).display !== "inline" && !e.closest("svg")) wrong.push(`its content is ${e.scrollWidth} px wide in ${e.clientWidth}: ${name(e)}`);
  }

  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const c = rgba(getComputedStyle(at).backgroundColor);
      if (c[3] === 255) return c;
    }
    return [255, 255, 255, 255];
  };
  for (const e of all) {
    const text = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (!(text || e.matches("input, select")) || !shown(e) || aside(e)) continue;
    const style = getComputedStyle(e), a = light(rgba(style.color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    if (ratio < (size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5)) wrong.push(`contrast ${ratio.toFixed(2)}: ${name(e)}`);
    if (size < 11) wrong.push(`text of ${size} px: ${name(e)}`);
  }

  for (const [landmark, wanted] of [["main", 1], ["header", 1], ["h1", 1]]) {
    const found = document.querySelectorAll(landmark).length;
    if (found !== wanted) wrong.push(`${found} times ${landmark}`);
  }
  if (!document.title || !document.documentElement.lang) wrong.push("no title or no language");
  if (!document.querySelector(".skip") || !document.querySelector(document.querySelector(".skip").getAttribute("href"))) wrong.push("the skip link leads nowhere");
  for (const e of document.querySelectorAll("section, [role=region]")) {
    const by = document.getElementById(e.getAttribute("aria-labelledby"));
    if (!by || !by.innerText.trim()) wrong.push(`without a name: ${name(e)}`);
  }
  for (const e of document.querySelectorAll("input:not([type=hidden]), select")) if (!e.labels.length) wrong.push(`without a label: ${name(e)}`);
  for (const e of document.querySelectorAll("a, button")) if (shown(e) && !e.innerText.trim()) wrong.push(`without a text: ${name(e)}`);
  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
    const here = Number(e.tagName[1]);
    if (here > level + 1) wrong.push(`a heading is left out before ${name(e)}`);
    level = here;
  }
  const ids = all.map((e) => e.id).filter(Boolean);
  for (const id of new Set(ids)) if (ids.filter((i) => i === id).length > 1) wrong.push(`the id ${id} stands twice`);
  for (const e of document.querySelectorAll("button, input:not([type=hidden]), select")) {
    const r = e.getBoundingClientRect();
    if (shown(e) && (r.height < 24 || r.width < 24)) wrong.push(`too small to be touched: ${name(e)} ${r.width}×${r.height}`);
  }
  return wrong;
})()
