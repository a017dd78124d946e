// On paper nothing is folded, neither hints nor code, and the colours are those for white paper.

let folded = [];
let theme;

window.addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("#main-content details:not([open])")];
  for (const details of folded) details.open = true;
  theme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
});

window.addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
  document.documentElement.dataset.theme = theme;
});
