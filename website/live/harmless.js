// HTML made harmless: nothing in it runs, and nothing in it is fetched from anywhere.
//
// What code computed could leave in an address. The site's headers forbid that, where a host sends
// them; here nothing is left that would ask.

import DOMPurify from "dompurify";

const UNWANTED = {
  FORBID_TAGS: [
    ...["form", "input", "button", "textarea", "select", "dialog"],
    ...["link", "style", "iframe", "audio", "video", "source", "track", "picture", "feimage"],
  ],
  FORBID_ATTR: ["srcset", "poster", "background", "ping", "lowsrc", "dynsrc"],
};
/** The elements of Markdown without HTML, and of the formulas in it. */
const TEXT = {
  ALLOWED_TAGS: [
    ...["p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li"],
    ...["em", "strong", "s", "code", "pre", "a", "div", "span"],
    ...["table", "thead", "tbody", "tr", "th", "td"],
  ],
  ALLOWED_ATTR: ["class", "href", "start", "style"],
};

const WORDS = /^(?:alt|class|d|id|title|aria-.*|data-.*)$/; // attributes that are never addresses
const FUNCTION = /([^\s,;:()'"]*)\(/g;
const OF_THIS_PAGE = /url\((["']?)#[\w.:-]*\1\)/g;
const FETCHING_NOTHING = new Set([
  ...["rgb", "rgba", "hsl", "hsla", "calc", "min", "max", "clamp"],
  ...["matrix", "translate", "translatex", "translatey", "scale", "rotate", "skewx", "skewy"],
]);
const inert = document.implementation.createHTMLDocument("");

/** Say whether a value in the words of CSS fetches nothing, whatever property has it. */
function fetchesNothing(value) {
  if (value.includes("\\")) return false; // any name can be written with escapes
  const functions = value.replace(OF_THIS_PAGE, "").toLowerCase().matchAll(FUNCTION);
  return [...functions].every(([, name]) => name === "" || FETCHING_NOTHING.has(name));
}

/** Return a style as the browser reads it, or nothing if it could fetch something. */
function harmlessStyle(css) {
  const { style } = inert.createElement("span");
  style.cssText = css;
  return fetchesNothing(style.cssText) ? style.cssText : "";
}

const isPicture = (address) => /^data:image\//i.test(address);
const leadsIntoThisPage = (address) => address.startsWith("#");

function leadsToAPage(address) {
  const to = URL.canParse(address, location) ? new URL(address, location).protocol : "";
  return ["http:", "https:", "mailto:"].includes(to);
}

function isHarmless(element, name, value, mayLeadTo) {
  if (name === "href" || name === "xlink:href") {
    if (element === "a") return mayLeadTo(value);
    return leadsIntoThisPage(value) || (element === "image" && isPicture(value));
  }
  if (name === "src") return isPicture(value);
  return WORDS.test(name) || fetchesNothing(value);
}

/** Return what makes HTML harmless, as a fragment of a document. */
function purifier(settings, mayLeadTo) {
  const purify = DOMPurify(window);
  purify.addHook("uponSanitizeAttribute", (node, attribute) => {
    const element = node.nodeName.toLowerCase();
    const { attrName: name, attrValue: value } = attribute;
    if (name === "style") {
      attribute.attrValue = harmlessStyle(value);
      attribute.keepAttr = attribute.attrValue !== "";
      return;
    }
    attribute.keepAttr = isHarmless(element, name, value, mayLeadTo);
    // A drawing of matplotlib draws each letter once, and then uses it by its name.
    attribute.forceKeepAttr = attribute.keepAttr && element === "use" && /href$/.test(name);
  });
  purify.addHook("afterSanitizeAttributes", (node) => {
    if (node.nodeName.toLowerCase() === "a") node.setAttribute("rel", "noreferrer noopener");
  });
  return (html) => purify.sanitize(html, { ...settings, RETURN_DOM_FRAGMENT: true });
}

/** What the reader's own code may show: pictures that it brings along, and links to follow. */
export const harmless = purifier({ ...UNWANTED, ADD_TAGS: ["use"] }, leadsToAPage);

/** What code from anywhere may show: text, and links inside this page. */
export const harmlessText = purifier(TEXT, leadsIntoThisPage);
