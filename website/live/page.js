// The cells of a page, made live: edited, run, stopped, reset, and kept.

import { makeEditor, setText } from "./editor.js";
import { button, element, Kept, loadStyle, Status, words } from "./parts.js";
import { show } from "./render.js";
import { Session, Stopped } from "./session.js";
import { inShort } from "./verdicts.js";

const HELP = "live-help";
const CHANGED = "The book has changed this cell since you edited it.";
const TYPED_ELSEWHERE = "You have typed another text here, in another tab.";
const THIS_TAB = crypto.getRandomValues(new Uint32Array(4)).join("-"); // over plain http, too

/** What of an output is worth telling in the bar: of a report, the verdict on each gradient. */
function gist({ kind, text }) {
  if (kind !== "rich") return text.trim();
  const verdicts = inShort(text);
  if (verdicts) return verdicts;
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
    this.offers = [];
    this.notes = [];
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
      if (this.putBack) this.putBack();
      else this.reset();
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
        this.#offerReset();
        page.keep(this);
      },
      onRun: () => page.run(this),
    });
    place.closest("details")?.addEventListener("toggle", () => this.editor.requestMeasure());
  }

  /** Offer texts that stand elsewhere, in place of those that were offered before. */
  offer(texts, onTaken) {
    const same =
      texts.length === this.offers.length &&
      texts.every((each, i) => each.text === this.offers[i].text);
    if (same) return;
    this.offers = texts;
    for (const note of this.notes) note.remove();
    this.notes = texts.map((entry) => {
      const back = button("Bring back my text", `Bring back my text of cell ${this.number}`, () => {
        onTaken(entry);
        setText(this.editor, entry.text);
        note.remove();
        this.editor.focus();
      });
      const note = element(
        "p",
        "live-note",
        `${entry.original === this.original ? TYPED_ELSEWHERE : CHANGED} `,
      );
      note.append(back);
      this.editor.dom.parentElement.before(note);
      return note;
    });
  }

  get isChanged() {
    return this.text !== this.original || this.hasRun;
  }

  /** Put back the book's code and its output; return what undoes it, which the button does, too. */
  reset() {
    const { text, hasRun, ranAs } = this;
    const [said, shown] = [this.state.textContent, [...this.output.childNodes]];
    setText(this.editor, this.original);
    this.output.replaceChildren(...this.stored);
    this.tell("");
    this.hasRun = false;
    const putBack = () => {
      if (this.putBack !== putBack) return; // it was edited or has run since
      setText(this.editor, text);
      this.output.replaceChildren(...shown);
      this.tell(said);
      Object.assign(this, { hasRun, ranAs });
      this.#offerReset();
    };
    this.#offerReset(putBack);
    return putBack;
  }

  #offerReset(putBack) {
    this.putBack = putBack;
    this.resetButton.textContent = putBack ? "Undo reset" : "Reset";
    const what = putBack ? "Undo the reset of" : "Reset";
    this.resetButton.setAttribute("aria-label", `${what} cell ${this.number}`);
    this.resetButton.disabled = !putBack && !this.isChanged;
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
      const onOutput = (output) => {
        begin();
        show(output, this.output);
        if (output.text?.trim()) said = gist(output);
      };
      const ran = await session.run(text, onOutput, `cell ${this.number}`);
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
      this.#offerReset();
    }
  }
}

/** The bar at the foot of the page: what Python is doing, and what can be asked of it. */
class Bar {
  constructor(page) {
    this.status = new Status();
    this.runAll = button("Run all", "", () => page.runAll());
    this.stop = button("Stop", "", () => page.stop());
    this.resetAll = button("Reset all", "", () => page.askToReset());
    this.retry = button("Try again", "", () => page.begin());
    const help = element("span", "live-help", "Shift+Enter runs a cell. Esc, then Tab leaves it.");
    help.id = HELP;
    this.status.place.append(help);
    const bar = element("section", "live-bar");
    bar.setAttribute("aria-label", "Python on this page");
    this.answers = element("span", "live-answers");
    this.answers.setAttribute("role", "group");
    this.answers.setAttribute("aria-label", "Answer");
    bar.append(this.status.place, this.answers, this.runAll, this.stop, this.resetAll, this.retry);
    document.querySelector("article").append(bar);
    // What has the focus is not hidden behind the bar, however many lines its words take.
    const root = document.documentElement;
    const leaveRoom = () => (root.style.scrollPaddingBottom = `${bar.offsetHeight + 8}px`);
    new ResizeObserver(leaveRoom).observe(bar);
  }

  /** Say what is going on, and offer what can be done about it. */
  show(text, { running = false, failed = false, loading = false } = {}) {
    this.status.say(text, loading);
    this.answers.replaceChildren();
    this.stop.disabled = !running;
    this.runAll.disabled = running || failed || loading;
    this.retry.hidden = !failed;
  }

  /** Ask something, or offer what can be done now; what Python does next takes its place. */
  ask(text, answers) {
    const earlier = this.status.text.textContent;
    const done = () => {
      this.answers.replaceChildren();
      if (this.status.text.textContent === text) this.status.text.textContent = earlier;
      this.resetAll.focus();
    };
    const buttons = answers.map(({ label, act }) =>
      button(label, "", () => {
        done();
        act?.();
      }),
    );
    this.status.text.textContent = text;
    this.answers.replaceChildren(...buttons);
    buttons[0].focus();
  }
}

class Page {
  constructor() {
    this.kept = new Kept(location.pathname);
    this.bar = new Bar(this);
    this.cells = [];
    void this.begin(); // files come while the editors are made
    const places = [...document.querySelectorAll("div.cell")].filter((cell) =>
      cell.querySelector("div.cell_input"),
    );
    this.cells = places.map((place, i) => new Cell(place, i + 1, this));
    this.#bringBack();
  }

  /** Put what was kept into the cells that are what they were; offer all else. */
  #bringBack() {
    for (const entry of this.kept.read()) {
      const cell = this.#cellOf(entry);
      if (!cell) continue;
      cell.taken = entry; // the last one counts: it was typed last
    }
    for (const cell of this.cells) {
      if (cell.taken) setText(cell.editor, cell.taken.text);
    }
    this.#offerOthers();
    this.kept.onChange(() => {
      for (const cell of this.cells) {
        const isMissing = !this.kept.read().some((entry) => this.#isOf(cell, entry));
        if (cell.hasTyped && isMissing) this.keep(cell); // another tab has not known of it
      }
      this.#offerOthers();
    });
  }

  #cellOf({ original, number }) {
    const same = this.cells.filter((cell) => cell.original === original);
    return same.find((cell) => cell.number === number) ?? same[0];
  }

  /** Say whether an entry is what this tab has kept of a cell, or has taken up and not changed. */
  #isOf(cell, entry) {
    if (this.#cellOf(entry) !== cell) return false;
    if (entry.tab === THIS_TAB) return true;
    return entry.tab === cell.taken?.tab && entry.text === cell.taken?.text;
  }

  /** Offer at each cell what other tabs have kept of it, and what belongs to an older edition. */
  #offerOthers() {
    const offers = new Map(this.cells.map((cell) => [cell, []]));
    for (const entry of this.kept.read()) {
      const cell = this.#cellOf(entry);
      if (cell && (this.#isOf(cell, entry) || entry.text === cell.text)) continue;
      const nearest = this.cells[Math.min(entry.number, this.cells.length) - 1];
      offers.get(cell ?? nearest).push(entry);
    }
    for (const [cell, entries] of offers) cell.offer(entries, (taken) => this.#drop(taken));
  }

  #drop({ tab, original, number, text }) {
    const isIt = (entry) =>
      entry.tab === tab &&
      entry.original === original &&
      entry.number === number &&
      entry.text === text;
    this.kept.write(this.kept.read().filter((entry) => !isIt(entry)));
  }

  /** Keep a cell's text if it differs from the book; what other tabs have kept stays. */
  keep(cell) {
    const { number, original, text, taken } = cell;
    if (taken && taken.text === text && !cell.hasTyped) return; // it is kept as it is
    cell.hasTyped = text !== original;
    const others = this.kept.read().filter((entry) => !this.#isOf(cell, entry));
    cell.taken = undefined;
    if (cell.hasTyped) others.push({ number, original, text, tab: THIS_TAB });
    this.kept.write(others);
  }

  /** Load and start Python, in place of one that is running, and say so. */
  async begin(message = "Python is ready.") {
    this.session?.end();
    this.session = new Session();
    this.isReady = false;
    for (const cell of this.cells) cell.ranAs = undefined;
    this.bar.show("Loading Python", { loading: true });
    this.ready = this.session.start(
      (loaded, total) => this.bar.status.measure(loaded, total),
      () => this.bar.show("Starting Python", { loading: true }),
    );
    try {
      await this.ready;
      this.isReady = true;
      if (!this.busy) this.bar.show(message);
    } catch (error) {
      if (!(error instanceof Stopped)) this.bar.show(words(error), { failed: true });
    }
  }

  /** Run a cell, and before it what it needs of those above that have not run as they are now. */
  async run(cell) {
    if (!this.isReady) cell.tell("waiting for Python …");
    else if (this.busy) cell.tell("waiting for its turn …");
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
      for (const { state } of this.cells)
        if (/^waiting/.test(state.textContent)) state.textContent = "";
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

  /** Ask whether all that the reader has changed shall be put back. */
  askToReset() {
    const typed = this.cells.filter(({ text, original }) => text !== original);
    if (!typed.length) {
      this.resetAll();
      return;
    }
    const cells = typed.length > 1 ? `${typed.length} cells` : "1 cell";
    this.bar.ask(`Put the book's code back into ${cells} that you have edited?`, [
      { label: "Keep my text" },
      { label: `Reset ${cells}`, act: () => this.resetAll() },
    ]);
  }

  /** Put back all cells, and offer to undo it. */
  resetAll() {
    const undo = this.cells.filter(({ isChanged }) => isChanged).map((cell) => cell.reset());
    if (!undo.length) return;
    const undoAll = () => {
      for (const putBack of undo) putBack();
    };
    this.bar.ask("All cells are as in the book.", [{ label: "Undo reset of all", act: undoAll }]);
  }
}

/** Make every cell of this page live. */
export async function goLive() {
  await loadStyle();
  return new Page();
}
