// Classes on keys: the digits 1 to 9 on the page, digits and letters in the chooser.

import { labelName, make } from "./dom.js";

const DIGITS = "123456789";
export const CHOOSER_KEYS = "1234567890abcdefghijklmnopqrstuvwxyz";

// The classes of the digits 1 to 9. Up to nine classes keep their digits; of more, the likeliest
// ones for an image: its own, then those that its given label is most often taken for.
export function digitClasses(facts, cells) {
  const { labels } = facts;
  if (labels.length <= DIGITS.length) return labels.map((_, code) => code);
  const likely = [cells.suggested, cells.second, cells.given, ...(facts.confusions[cells.given] ?? []), ...facts.frequent];
  return [...new Set(likely.filter((code) => code >= 0))].slice(0, DIGITS.length);
}

export function showClassKeys(facts, cells, onChoose) {
  const codes = digitClasses(facts, cells);
  for (const place of document.querySelectorAll(".class-keys"))
    place.replaceChildren(...codes.map((code, k) => {
      const name = labelName(facts, code);
      const kind = code === cells.given ? "is-given" : code === cells.suggested ? "is-suggested" : "";
      const button = make("button", { type: "button", class: kind, title: `${name} (${DIGITS[k]})`, "aria-label": `Label it ${name} (${DIGITS[k]})`, "aria-keyshortcuts": DIGITS[k] },
        make("bdi", { textContent: name }), make("kbd", { "data-key": DIGITS[k] }));
      button.addEventListener("click", () => onChoose(code));
      return button;
    }));
  return codes;
}
