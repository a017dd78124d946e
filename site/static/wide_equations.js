// An equation that is wider than its box can be scrolled with the keyboard, and says so.
//
// The theme does this for code, outputs and tables; not every browser does it by itself.

const GROUP = { tabindex: "0", role: "group", "aria-label": "Wide equation" };
const seen = new Set();

function mark(box) {
  const isWide = box.scrollWidth > box.clientWidth;
  for (const [name, value] of Object.entries(GROUP)) {
    if (isWide) box.setAttribute(name, value);
    else box.removeAttribute(name);
  }
}

const sizes = new ResizeObserver((changes) => changes.forEach(({ target }) => mark(target)));

function find() {
  for (const box of document.querySelectorAll("div.math mjx-container")) {
    if (!seen.has(box)) sizes.observe(box);
    seen.add(box);
  }
}

document.fonts.addEventListener("loadingdone", () => seen.forEach(mark));
// They come one after the other, and from live cells at any time.
const inside = { childList: true, subtree: true };
new MutationObserver(find).observe(document.getElementById("main-content"), inside);
find();
