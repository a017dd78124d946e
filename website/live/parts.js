// What the pages with live code are built from.

import { Problem } from "./session.js";

const MEGABYTE = 1e6;

export function element(tag, classes = "", text = "") {
  const made = document.createElement(tag);
  made.className = classes;
  made.textContent = text;
  return made;
}

/** Make a button; a label tells more than its text, to those who do not see where it stands. */
export function button(text, label, onClick) {
  const made = element("button", "live-button", text);
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", onClick);
  return made;
}

/** What the reader typed, kept in this browser from one visit to the next. */
export class Kept {
  #key;

  constructor(name) {
    this.#key = `live ${name}`;
  }

  /** Return what was kept, or nothing. */
  read() {
    try {
      return JSON.parse(localStorage.getItem(this.#key)) ?? [];
    } catch {
      return [];
    }
  }

  /** Keep a list; an empty one leaves nothing behind. */
  write(list) {
    try {
      if (list.length) localStorage.setItem(this.#key, JSON.stringify(list));
      else localStorage.removeItem(this.#key);
    } catch {
      // No storage in this browser: nothing is kept, everything else works.
    }
  }

  /** Call a function whenever another tab has kept something. */
  onChange(changed) {
    addEventListener("storage", ({ key }) => {
      if (key === this.#key || key === null) changed();
    });
  }
}

/** One line on what Python is doing, announced to screen readers, and how much of it has come. */
export class Status {
  constructor() {
    this.place = element("div", "live-words");
    this.text = element("span", "live-status");
    this.text.setAttribute("role", "status");
    this.progress = element("progress", "live-progress");
    this.progress.setAttribute("aria-label", "Loading Python");
    this.bytes = element("span", "live-help");
    this.place.append(this.text, this.progress, this.bytes);
  }

  say(text, loading = false) {
    this.text.textContent = text;
    this.progress.hidden = !loading;
    this.progress.removeAttribute("value");
    this.bytes.hidden = !loading;
  }

  measure(loaded, total) {
    this.progress.max = total;
    this.progress.value = loaded;
    const [some, all] = [loaded, total].map((bytes) => (bytes / MEGABYTE).toFixed(1));
    this.bytes.textContent = `${some} of ${all} MB`;
  }
}

/** Say an error in words for the reader. */
export function words(error) {
  if (error instanceof Problem) return error.message;
  return `Something went wrong that should not: ${error.message}`;
}

/** Load the style of live code. */
export function loadStyle() {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("live.css", import.meta.url);
  document.head.append(link);
  return new Promise((resolve, reject) => {
    link.onload = resolve;
    link.onerror = () => reject(new Error("live.css could not be loaded"));
  });
}
