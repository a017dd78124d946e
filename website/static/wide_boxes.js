// An equation, drawing, code or output that is wider than its box can be scrolled with the keyboard.
//
// Equations and drawings say so, too. For code and outputs the theme does it, but once after a window has
// changed, and not again when the page has found its new place in it; not every browser does it.

const DRAWING = ".cell_output .output:has(> svg[role='img'])";
const BOXES = `div.math mjx-container, article span.math, ${DRAWING}, #main-content pre`;
const seen = new Set();

function mark(box) {
  const isWide = box.scrollWidth > box.clientWidth;
  if (box.localName === "pre") {
    box.tabIndex = isWide || box.scrollHeight > box.clientHeight ? 0 : -1;
    return;
  }
  const label = box.matches(DRAWING) ? "Wide drawing" : "Wide equation";
  const group = { tabindex: "0", role: "group", "aria-label": label };
  for (const [name, value] of Object.entries(group)) {
    if (isWide) box.setAttribute(name, value);
    else box.removeAttribute(name);
  }
}

const sizes = new ResizeObserver((changes) => {
  for (const { target } of changes) mark(target);
});

function find() {
  for (const box of document.querySelectorAll(BOXES)) {
    if (!seen.has(box)) sizes.observe(box);
    seen.add(box);
  }
}

document.fonts.addEventListener("loadingdone", () => seen.forEach(mark));
// They come one after the other, and from live cells at any time.
const inside = { childList: true, subtree: true };
new MutationObserver(find).observe(document.getElementById("main-content"), inside);
find();
