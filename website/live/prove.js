// The page "Prove your own gradient": an editor, the axes, one button, and links that carry code.

import { makeEditor, setText } from "./editor.js";
import { EXAMPLES } from "./examples.js";
import { button, element, Kept, loadStyle, Status, words } from "./parts.js";
import { show } from "./render.js";
import { Session, Stopped } from "./session.js";
import { pack, TooLong, unpack } from "./share.js";
import { judgement } from "./verdicts.js";

const HELP = "prove-help";
const IMPORT =
  "from backprop_lib.layer import layer_in as _layer_in\n" +
  "from backprop_lib.proof import prove as _prove\n";
const FROM_A_LINK =
  "This code came with the link that you followed. It has not run. Read it first; it runs when " +
  "you press Prove.";
const LINK_TOO_LONG =
  "The link that you followed carries more code than a link may. It was not read. Ask for the code " +
  "itself, and paste it here.";
const CODE_TOO_LONG =
  "This code is too long for a link: a link carries at most 100,000 bytes of code, and 50,000 " +
  "letters when it is packed. Send the code itself.";

/** Give a field its label. */
function labelled(text, field, id) {
  field.id = id;
  const label = element("label", "", text);
  label.htmlFor = id;
  const both = element("div", "prove-field");
  both.append(label, field);
  return both;
}

class Workbench {
  #session;
  #started; // settled once the session has
  #run = 0; // changes with each press of Prove or Stop: what belongs to an older one is dropped

  constructor(place, { code, axes, isFromLink, warning, kept }) {
    this.kept = kept;
    this.status = new Status();
    this.status.say("");
    this.result = element("div", "prove-result cell_output");

    this.choice = element("select");
    for (const [i, { name }] of EXAMPLES.entries()) this.choice.add(new Option(name, i));
    this.choice.add(new Option(isFromLink ? "code from a link" : "your own", "own"), 0);
    this.choice.addEventListener("change", () => this.choose(EXAMPLES[this.choice.value]));

    const holder = element("div", "highlight live-editor");
    this.editor = makeEditor({
      parent: holder,
      text: code,
      label: "Python, forward and backward",
      describedBy: HELP,
      onChange: () => this.changed(),
      onRun: () => this.prove(),
    });
    this.axes = element("input", "prove-axes");
    this.axes.type = "text";
    this.axes.spellcheck = false;
    this.axes.value = axes;
    this.axes.addEventListener("input", () => this.changed());
    this.axes.addEventListener("keydown", (event) => {
      if (event.key === "Enter") void this.prove();
    });

    this.proveButton = button("Prove", "", () => this.prove());
    this.proveButton.classList.add("live-main");
    this.stopButton = button("Stop", "", () => this.stop());
    this.stopButton.disabled = true;
    const share = button("Copy a link", "", () => this.share());
    const help = element(
      "span",
      "live-help",
      "Shift+Enter proves. Esc, then Tab leaves the editor.",
    );
    help.id = HELP;
    this.status.place.append(help);
    const controls = element("div", "live-controls");
    controls.append(this.proveButton, this.stopButton, share, this.status.place);

    if (warning) place.append(element("p", "live-note prove-warning", warning));
    place.append(
      labelled("Start from", this.choice, "prove-choice"),
      holder,
      labelled("Axes of forward's arguments", this.axes, "prove-axes"),
      controls,
      this.result,
    );
    this.nameIt();
    for (const field of [holder, this.axes]) {
      field.addEventListener("focusin", () => this.#prepare(), { once: true });
    }
  }

  get code() {
    return this.editor.state.doc.toString();
  }

  /** Keep the text, and say whether it is an example as it was. */
  changed() {
    this.kept.write([{ code: this.code, axes: this.axes.value }]);
    this.nameIt();
  }

  nameIt() {
    const same = ({ code, axes }) => code === this.code && axes === this.axes.value;
    const place = EXAMPLES.findIndex(same);
    this.choice.value = place < 0 ? "own" : place;
  }

  /** Put an example into the editor; what stood there can be had back with undo, and is kept. */
  choose(example) {
    if (!example) {
      if (this.own) this.put(this.own);
      else this.nameIt();
      return;
    }
    const isExample = EXAMPLES.some(({ code }) => code === this.code);
    if (!isExample) this.own = { code: this.code, axes: this.axes.value };
    this.put(example);
  }

  put({ code, axes }) {
    this.axes.value = axes;
    setText(this.editor, code);
    this.result.replaceChildren();
    this.status.say("");
  }

  async prove() {
    if (this.proveButton.disabled) return;
    const run = ++this.#run;
    this.proveButton.disabled = true;
    this.stopButton.disabled = false;
    this.result.replaceChildren();
    try {
      const session = await this.#python();
      if (run !== this.#run) return;
      this.status.say("Proving");
      const isProven = await this.#asked(session);
      if (run === this.#run) this.status.say(isProven);
    } catch (error) {
      if (run === this.#run && !(error instanceof Stopped)) this.#lost(words(error));
    }
    if (run === this.#run) {
      this.proveButton.disabled = false;
      this.stopButton.disabled = true;
    }
  }

  /** Run the reader's code and then the question; say what came of it. */
  async #asked(session) {
    let said = "";
    const put = (output) => {
      show(output, this.result, { isTrusted: false });
      said = output.text ?? "";
    };
    const question = `${IMPORT}_prove(*_layer_in(globals()), ${this.axes.value})`;
    await session.forget();
    const ran =
      (await session.run(this.code, put, "your code")) &&
      (await session.run(question, put, "<axes>"));
    return ran ? judgement(said) : "Python has found something wrong; see below.";
  }

  /** Load Python while the reader types, unless the reader's connection is slow or to be spared. */
  #prepare() {
    const { saveData, effectiveType } = navigator.connection ?? {};
    if (this.#session || saveData || effectiveType?.endsWith("2g")) return;
    this.#python().catch(() => this.#forgetSession()); // Prove tries again, and tells what is wrong
  }

  async #python() {
    if (!this.#session) {
      const session = new Session();
      this.#session = session;
      this.loading = "Loading Python";
      this.#started = session.start(
        (loaded, total) => this.status.measure(loaded, total),
        () => this.#sayLoading("Starting Python"),
      );
      this.#started.then(
        () => (this.loading = ""),
        () => {}, // told to whoever waits for it
      );
    }
    const session = this.#session;
    this.#sayLoading(this.loading);
    await this.#started;
    return session;
  }

  /** Say what Python is doing, if somebody waits for it. */
  #sayLoading(text) {
    this.loading = text;
    if (text && this.proveButton.disabled) this.status.say(text, true);
  }

  #forgetSession() {
    this.#session?.end();
    this.#session = undefined;
  }

  #lost(message) {
    this.#forgetSession();
    this.status.say(message);
  }

  stop() {
    this.#run++;
    this.#lost("Stopped.");
    this.proveButton.disabled = false;
    this.stopButton.disabled = true;
  }

  async share() {
    const link = new URL(location.href);
    try {
      link.hash = await pack({ code: this.code, axes: this.axes.value });
    } catch (error) {
      if (!(error instanceof TooLong)) throw error;
      this.status.say(CODE_TOO_LONG);
      return;
    }
    try {
      await navigator.clipboard.writeText(link.href);
      this.status.say(
        "The link is copied. It carries the code itself; nothing is stored anywhere.",
      );
    } catch {
      history.replaceState(null, "", link.href);
      this.status.say("The link stands in the address bar. It carries the code itself.");
    }
  }
}

/** Return what the address carries: code, or a warning that there is too much, or nothing. */
async function fromLink() {
  try {
    const linked = await unpack(location.hash.slice(1));
    return linked && { ...linked, isFromLink: true, warning: FROM_A_LINK };
  } catch (error) {
    if (!(error instanceof TooLong)) throw error;
    return { warning: LINK_TOO_LONG };
  }
}

async function begin() {
  const place = document.getElementById("prove-your-own");
  if (!place) return;
  await loadStyle();
  const linked = await fromLink();
  const kept = new Kept(location.pathname + (linked?.isFromLink ? location.hash : ""));
  const [mine] = kept.read();
  place.replaceChildren();
  new Workbench(place, { ...EXAMPLES[0], ...linked, ...mine, kept });
}

addEventListener("hashchange", async () => {
  // Another link: nothing of what stands here stays. A heading of this page changes nothing.
  if (await fromLink()) location.reload();
});
await begin();
