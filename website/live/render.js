// What a cell answers, as elements of the page.

import { highlightCode } from "@lezer/highlight";
import { parser } from "@lezer/python";
import { tex } from "@mdit/plugin-tex";
import MarkdownIt from "markdown-it";
import { pygments } from "./editor.js";
import { typeset } from "./formulas.js";
import { harmless, harmlessText } from "./harmless.js";
import { withBoxes } from "./verdicts.js";

// biome-ignore lint/suspicious/noControlCharactersInRegex: each begins with one
const ESCAPES = /\x1b\[[0-9;]*m/g;

function escapeHtml(text) {
  const element = document.createElement("span");
  element.textContent = text;
  return element.innerHTML;
}

function highlight(code) {
  let html = "";
  const put = (text, classes) => {
    html += classes ? `<span class="${classes}">${escapeHtml(text)}</span>` : escapeHtml(text);
  };
  highlightCode(code, parser.parse(code), pygments, put, () => (html += "\n"));
  return html;
}

/** Mark up a formula for the page's MathJax, as the formulas of the book are. */
function mathematics(latex, isDisplayed) {
  const [tag, open, close] = isDisplayed ? ["div", "\\[", "\\]"] : ["span", "\\(", "\\)"];
  return `<${tag} class="math notranslate nohighlight">${open}${escapeHtml(latex)}${close}</${tag}>`;
}

function fence(tokens, place) {
  const { info, content } = tokens[place];
  const code = info.trim() === "python" ? highlight(content) : escapeHtml(content);
  return `<div class="highlight-python notranslate"><div class="highlight"><pre>${code}</pre></div></div>`;
}

function markdownReader(options) {
  const markdown = new MarkdownIt(options).use(tex, { render: mathematics });
  markdown.renderer.rules.fence = fence;
  return markdown;
}

const trustedMarkdown = markdownReader({ html: true });
const untrustedMarkdown = markdownReader({ html: false }).disable("image");
// Any other link stays the text that it was.
untrustedMarkdown.validateLink = (address) => address.startsWith("#");

function box(classes, inner) {
  const element = document.createElement("div");
  element.className = `output ${classes}`;
  element.append(inner);
  return element;
}

function preformatted(text) {
  const highlight = document.createElement("div");
  highlight.className = "highlight";
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  pre.textContent = text.replace(ESCAPES, "");
  highlight.append(pre);
  return highlight;
}

function formula(latex) {
  return harmless(mathematics(latex.trim().replace(/^\$+|\$+$/g, ""), true));
}

function image(source, text) {
  const picture = document.createElement("img");
  picture.src = source;
  picture.alt = text;
  return picture;
}

const plain = (data) => box("text_plain highlight-myst-ansi notranslate", preformatted(data));

/** The forms in which code that the reader knows may answer. */
const FORMS = {
  "text/html": (data) => box("text_html", harmless(data)),
  "image/svg+xml": (data) => box("text_html", harmless(data)),
  "image/png": (data, text) => box("image_png", image(`data:image/png;base64,${data}`, text)),
  "text/markdown": (data) =>
    box("text_markdown", withBoxes(harmless(trustedMarkdown.render(data)))),
  "text/latex": (data) => box("text_latex", formula(data)),
  "text/plain": plain,
};

/** The forms in which code from anywhere may answer: text, and formulas. */
const SAFE_FORMS = {
  "text/markdown": (data) =>
    box("text_markdown", withBoxes(harmlessText(untrustedMarkdown.render(data)))),
  "text/plain": plain,
};

function showStream({ name, text }, place) {
  const kind = name === "stderr" ? "stderr" : "stream";
  const classes = `output ${kind} highlight-myst-ansi notranslate`;
  const last = place.lastElementChild;
  if (last?.className === classes) {
    last.querySelector("pre").append(text.replace(ESCAPES, ""));
  } else {
    place.append(box(`${kind} highlight-myst-ansi notranslate`, preformatted(text)));
  }
}

/** Show an output below those that are there; text goes on where text of the same stream stood. */
export function show(output, place, { isTrusted = true } = {}) {
  if (output.kind === "stream") {
    showStream(output, place);
  } else if (output.kind === "error") {
    place.append(box("traceback highlight-ipythontb notranslate", preformatted(output.text)));
  } else {
    const forms = isTrusted ? FORMS : SAFE_FORMS;
    const form = Object.hasOwn(forms, output.mime) ? forms[output.mime] : undefined;
    const element = form ? form(output.data, output.text) : plain(output.text);
    place.append(element);
    void typeset(element);
  }
}
