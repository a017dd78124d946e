// On every page with code: one button. All else is loaded when it is pressed.

const BUTTON =
  '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M7 4v16l13-8z"/></svg> ' +
  "<span>Run this page</span>";

function addButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-sm live-start";
  button.title = "Make every cell of this page editable, and run Python in this browser";
  button.innerHTML = BUTTON;
  button.onclick = () => start(button);
  document.querySelector(".article-header-buttons")?.prepend(button);
}

async function start(button, tries = 0) {
  button.disabled = true;
  try {
    // A browser may remember that a script failed to load; another address is asked anew.
    const address = new URL(`page.js${tries ? `?try=${tries}` : ""}`, import.meta.url);
    const { goLive } = await import(address);
    const page = await goLive();
    button.remove();
    page.focus(); // which was on the button
  } catch (error) {
    button.disabled = false;
    button.innerHTML = BUTTON.replace("Run this page", "Not loaded. Try again");
    button.onclick = () => start(button, tries + 1);
    throw error;
  }
}

if (document.querySelector("div.cell div.cell_input")) addButton();
