// The editor of a cell, with the colours that the page's own code has.

import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import {
  defaultKeymap,
  history,
  historyKeymap,
  indentWithTab,
  isolateHistory,
} from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import {
  bracketMatching,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, keymap, lineNumbers } from "@codemirror/view";
import { tagHighlighter, tags } from "@lezer/highlight";

// The classes are those of Pygments, for which the page has colours, light and dark.
export const pygments = tagHighlighter([
  { tag: tags.comment, class: "c1" },
  { tag: tags.definitionKeyword, class: "k" },
  { tag: tags.keyword, class: "k" },
  { tag: tags.moduleKeyword, class: "kn" },
  { tag: tags.operatorKeyword, class: "ow" },
  { tag: [tags.bool, tags.null], class: "kc" },
  { tag: tags.string, class: "s2" },
  { tag: tags.number, class: "mi" },
  { tag: tags.function(tags.definition(tags.variableName)), class: "nf" },
  { tag: tags.definition(tags.className), class: "nc" },
  { tag: tags.meta, class: "nd" },
  { tag: tags.operator, class: "o" },
  { tag: [tags.punctuation, tags.derefOperator], class: "p" },
  { tag: [tags.variableName, tags.propertyName], class: "n" },
]);

/** Put an editor into an element. `onRun` is called by Shift+Enter. */
export function makeEditor({ parent, text, label, describedBy, onChange, onRun }) {
  const run = () => {
    onRun();
    return true;
  };
  const attributes = {
    "aria-label": label,
    "aria-describedby": describedBy,
    spellcheck: "false",
    tabindex: "0", // so that it is known to take the focus, and its box to be scrolled with keys
  };
  return new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        keymap.of([
          { key: "Shift-Enter", run },
          { key: "Mod-Enter", run },
        ]),
        lineNumbers(),
        history(),
        drawSelection(),
        indentUnit.of("    "),
        indentOnInput(),
        bracketMatching(),
        closeBrackets(),
        python(),
        syntaxHighlighting(pygments),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
        EditorView.contentAttributes.of(attributes),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onChange(update.state.doc.toString());
        }),
      ],
    }),
  });
}

/** Replace the whole text, as one step that can be undone. */
export function setText(editor, text) {
  const changes = { from: 0, to: editor.state.doc.length, insert: text };
  editor.dispatch({ changes, annotations: isolateHistory.of("full") });
}
