// On every page with code: one button, and a word on the reader's own text. All else is loaded when
// the button is pressed.

const BUTTON =
  '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M7 4v16l13-8z"/></svg> ' +
  "<span>Run this page</span>";

const CELLS = "div.cell:has(div.cell_input)";

function label(text) {
  return BUTTON.replace("Run this page", text);
}

function addButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-sm live-start";
  button.title = "Make every cell of this page editable, and run Python in this browser";
  button.innerHTML = BUTTON;
  button.onclick = () => start(button);
  document.querySelector(".article-header-buttons")?.prepend(button);
}

/** Return what parts.js has kept of this page: the cells that the reader has edited. */
function kept() {
  try {
    return JSON.parse(localStorage.getItem(`live ${location.pathname}`)) ?? [];
  } catch {
    return [];
  }
}

/** Say at the first cell that the reader has edited that it is kept. */
function sayWhatIsKept() {
  const numbers = [...new Set(kept().map(({ number }) => number))].sort((a, b) => a - b);
  if (!numbers.length) return;
  const cells = document.querySelectorAll(CELLS);
  const which = numbers.length > 1 ? `cells ${numbers.join(", ")}` : `cell ${numbers[0]}`;
  const note = document.createElement("p");
  note.className = "live-kept";
  note.textContent = `Your own text of ${which} is kept in this browser. "Run this page" shows it.`;
  cells[Math.min(numbers[0], cells.length) - 1].before(note);
}

async function start(button, tries = 0) {
  button.disabled = true;
  button.innerHTML = label("Loading …");
  try {
    // A browser may remember that a script failed to load; another address is asked anew.
    const address = new URL(`page.js${tries ? `?try=${tries}` : ""}`, import.meta.url);
    const { goLive } = await import(address);
    const page = await goLive();
    document.querySelector(".live-kept")?.remove();
    button.remove();
    page.focus(); // which was on the button
  } catch (error) {
    button.disabled = false;
    button.innerHTML = label("Not loaded. Try again");
    button.onclick = () => start(button, tries + 1);
    throw error;
  }
}

if (document.querySelector(CELLS)) {
  addButton();
  sayWhatIsKept();
}
