// The cells of a page, made live: edited, run, stopped, reset, and kept.

import { makeEditor, setText } from "./editor.js";
import { button, element, Kept, loadStyle, Status, words } from "./parts.js";
import { show } from "./render.js";
import { Session, Stopped } from "./session.js";

const HELP = "live-help";

/** What of an output is worth telling in the bar: of a report, the verdict on each gradient. */
function gist({ kind, text }) {
  if (kind !== "rich") return text.trim();
  return text
    .split("\n")
    .filter((line) => /^\S/.test(line))
    .join("; ");
}

/** One code cell of the page. */
class Cell {
  constructor(place, number, page) {
    this.number = number;
    this.isExercise = place.classList.contains("tag_exercise");
    const input = place.querySelector("div.cell_input");
    const shown = input.querySelector("pre");
    this.original = shown.textContent.replace(/\n$/, "");
    this.text = this.original;
    this.output = place.querySelector("div.cell_output");
    if (!this.output) {
      this.output = element("div", "cell_output docutils container");
      place.append(this.output);
    }
    this.stored = [...this.output.childNodes];

    for (const child of input.children) child.hidden = true;
    const holder = element("div", "highlight live-editor");
    const controls = element("div", "live-controls");
    this.state = element("span", "live-state");
    this.runButton = button("Run", `Run cell ${number}`, () => page.run(this));
    this.resetButton = button("Reset", `Reset cell ${number}`, () => {
      this.reset();
      this.editor.focus();
    });
    this.resetButton.disabled = true;
    controls.append(this.runButton, this.resetButton, this.state);
    input.append(holder, controls);
    this.editor = makeEditor({
      parent: holder,
      text: this.original,
      label: `Python, cell ${number}`,
      describedBy: HELP,
      onChange: (text) => {
        this.text = text;
        this.resetButton.disabled = text === this.original && !this.hasRun;
        page.keep();
      },
      onRun: () => page.run(this),
    });
    place.closest("details")?.addEventListener("toggle", () => this.editor.requestMeasure());
  }

  /** Offer a text that was typed when the book said something else here. */
  offer(text, onTaken) {
    const back = button("Bring back my text", `Bring back my text of cell ${this.number}`, () => {
      onTaken();
      setText(this.editor, text);
      note.remove();
      this.editor.focus();
    });
    const note = element("p", "live-note", "The book has changed this cell since you edited it. ");
    note.append(back);
    this.editor.dom.parentElement.before(note);
  }

  /** Put back the book's code and its output. */
  reset() {
    setText(this.editor, this.original);
    this.output.replaceChildren(...this.stored);
    this.tell("");
    this.hasRun = false;
    this.resetButton.disabled = true;
  }

  tell(state) {
    this.state.textContent = state;
  }

  /** Run in a session; the stored output stays until there is another. */
  async run(session) {
    let fresh = false;
    const begin = () => {
      if (!fresh) this.output.replaceChildren();
      fresh = true;
    };
    const began = performance.now();
    const { text } = this;
    this.tell("running …");
    let said = "";
    try {
      const ran = await session.run(text, (output) => {
        begin();
        show(output, this.output);
        if (output.text?.trim()) said = gist(output);
      });
      begin();
      this.ranAs = ran ? text : undefined;
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      this.tell(ran ? `ran in ${seconds} s` : "ended with an error");
      const last = ran ? said.split("\n")[0] : said.split("\n").at(-1);
      return { ran, said: last.slice(0, 200) };
    } catch (error) {
      this.tell(error instanceof Stopped ? "stopped" : "Python broke down");
      throw error;
    } finally {
      this.hasRun = true;
      this.resetButton.disabled = false;
    }
  }
}

/** The bar at the foot of the page: what Python is doing, and what can be asked of it. */
class Bar {
  constructor(page) {
    this.status = new Status();
    this.runAll = button("Run all", "", () => page.runAll());
    this.stop = button("Stop", "", () => page.stop());
    this.resetAll = button("Reset all", "", () => page.resetAll());
    this.retry = button("Try again", "", () => page.begin());
    const help = element("span", "live-help", "Shift+Enter runs a cell. Esc, then Tab leaves it.");
    help.id = HELP;
    this.status.place.append(help);
    const bar = element("section", "live-bar");
    bar.setAttribute("aria-label", "Python on this page");
    bar.append(this.status.place, this.runAll, this.stop, this.resetAll, this.retry);
    document.querySelector("article").append(bar);
    // What has the focus is not hidden behind the bar, however many lines its words take.
    const root = document.documentElement;
    const leaveRoom = () => (root.style.scrollPaddingBottom = `${bar.offsetHeight + 8}px`);
    new ResizeObserver(leaveRoom).observe(bar);
  }

  /** Say what is going on, and offer what can be done about it. */
  show(text, { running = false, failed = false, loading = false } = {}) {
    this.status.say(text, loading);
    this.stop.disabled = !running;
    this.runAll.disabled = running || failed || loading;
    this.retry.hidden = !failed;
  }
}

class Page {
  constructor() {
    this.kept = new Kept(location.pathname);
    this.offered = new Set(); // kept texts whose cell is no longer what it was
    this.bar = new Bar(this);
    this.cells = [];
    void this.begin(); // files come while the editors are made
    const places = [...document.querySelectorAll("div.cell")].filter((cell) =>
      cell.querySelector("div.cell_input"),
    );
    this.cells = places.map((place, i) => new Cell(place, i + 1, this));
    this.#bringBack();
  }

  #bringBack() {
    for (const earlier of this.kept.read()) {
      const same = this.cells.find(
        (cell) => cell.original === earlier.original && cell.text === cell.original,
      );
      if (same) {
        setText(same.editor, earlier.text);
      } else {
        this.offered.add(earlier);
        const nearest = this.cells[Math.min(earlier.number, this.cells.length) - 1];
        nearest.offer(earlier.text, () => this.offered.delete(earlier));
      }
    }
    this.keep(); // each text that was put back has written what was there by then
  }

  /** Keep what differs from the book, and what is still offered. */
  keep() {
    const changed = this.cells.filter((cell) => cell.text !== cell.original);
    this.kept.write([
      ...changed.map(({ number, original, text }) => ({ number, original, text })),
      ...this.offered,
    ]);
  }

  /** Load and start Python, in place of one that is running, and say so. */
  async begin(message = "Python is ready.") {
    this.session?.end();
    this.session = new Session();
    for (const cell of this.cells) cell.ranAs = undefined;
    this.bar.show("Loading Python", { loading: true });
    this.ready = this.session.start(
      (loaded, total) => this.bar.status.measure(loaded, total),
      () => this.bar.show("Starting Python", { loading: true }),
    );
    try {
      await this.ready;
      if (!this.busy) this.bar.show(message);
    } catch (error) {
      if (!(error instanceof Stopped)) this.bar.show(words(error), { failed: true });
    }
  }

  /** Run a cell, and before it what it needs of those above that have not run as they are now. */
  async run(cell) {
    await this.#inTurn(async () => {
      const ran = this.cells.flatMap(({ ranAs, text }, i) => (ranAs === text ? [i] : []));
      const wanted = this.cells.indexOf(cell);
      const texts = this.cells.map(({ text }) => text);
      const before = cell.isExercise
        ? await this.session.needed(texts, wanted, ran)
        : texts.slice(0, wanted).flatMap((_, i) => (ran.includes(i) ? [] : [i]));
      return [...before.map((i) => this.cells[i]), cell];
    });
  }

  /** Run every cell, from the first to the last. */
  async runAll() {
    await this.#inTurn(() => this.cells);
  }

  /** Choose cells when their turn has come, and run them until one ends with an error. */
  async #inTurn(choose) {
    const session = this.session;
    const turn = (this.busy ?? this.ready)
      .catch(() => {})
      .then(() => this.#runAll(session, choose));
    this.busy = turn;
    try {
      await turn;
    } catch (error) {
      if (!(error instanceof Stopped)) this.bar.show(words(error), { failed: true });
    }
    if (this.busy === turn) this.busy = undefined;
  }

  async #runAll(session, choose) {
    if (session !== this.session) return;
    await this.ready;
    const began = performance.now();
    const cells = await choose();
    let done = { ran: true, said: "" };
    for (const [i, cell] of cells.entries()) {
      const which =
        cells.length > 1
          ? `${i + 1} of ${cells.length}: cell ${cell.number}`
          : `cell ${cell.number}`;
      this.bar.show(`Running ${which}`, { running: true });
      done = await cell.run(session);
      if (session !== this.session) return;
      if (!done.ran) {
        this.bar.show(`Cell ${cell.number} ended with an error. ${done.said}`);
        return;
      }
    }
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const [last] = cells.slice(-1);
    this.bar.show(
      cells.length === this.cells.length
        ? `All ${cells.length} cells have run, in ${seconds} s.`
        : `Cell ${last.number} has run. ${done.said}`,
    );
  }

  /** End what is running, and start Python anew. */
  async stop() {
    this.busy = undefined;
    await this.begin("Stopped. Python has started anew, and has forgotten what had run.");
  }

  /** Put the focus into the first cell that can be seen, or comes next. */
  focus() {
    const open = this.cells.filter(({ editor }) => editor.dom.offsetParent);
    const isAhead = ({ editor }) => editor.dom.getBoundingClientRect().bottom > 0;
    (open.find(isAhead) ?? open.at(-1))?.editor.focus();
  }

  resetAll() {
    for (const cell of this.cells) cell.reset();
    this.bar.resetAll.focus();
  }
}

/** Make every cell of this page live. */
export async function goLive() {
  await loadStyle();
  return new Page();
}
