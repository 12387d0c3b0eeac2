// Images to compare with: the nearest of the given and of the suggested class.

import { labelName, make, picture, sideFor } from "./dom.js";

const STRIP = 110; // px of a small one

function kindOf(each) {
  return each.similarity ? "nearest" : "most trusted";
}

function nameOf(facts, each, k) {
  const sure = each.similarity ? `, similarity ${each.similarity[k].toFixed(2)}` : "";
  return `${each.rows[k].image}, ${labelName(facts, each.label)}${sure}`;
}

function heading(facts, each, level) {
  return make(level, {}, `${kindOf(each)} `, make("bdi", { textContent: labelName(facts, each.label) }));
}

const role = (each, cells) => (each.label === cells.given ? "given" : "suggested");

const nothing = () => make("p", { class: "muted", textContent: "none is judged right" });

// Small images in a panel; any of them opens the zoom.
export function strip(facts, backend, each, cells) {
  const images = each.rows.map((row, k) =>
    picture(backend.picture(row.row, sideFor(facts, STRIP)), { alt: nameOf(facts, each, k), title: nameOf(facts, each, k) }));
  return make("section", { class: `strip ${role(each, cells)}` }, heading(facts, each, "h3"),
    images.length ? make("div", { class: "strip-images" }, ...images) : nothing());
}

// A large image and the others as buttons that put theirs in its place.
export function compared(facts, backend, each, cells) {
  const place = make("section", { class: `compared ${role(each, cells)}` }, heading(facts, each, "h3"));
  if (!each.rows.length) {
    place.append(nothing());
    return place;
  }
  const large = picture("", {});
  const buttons = each.rows.map((row, k) => {
    const name = nameOf(facts, each, k);
    const button = make("button", { type: "button", title: name, "aria-label": `Compare with ${name}` },
      picture(backend.picture(row.row, sideFor(facts, STRIP)), { alt: "" }));
    button.addEventListener("click", () => show(k));
    return button;
  });
  const show = (k) => {
    large.src = backend.picture(each.rows[k].row, sideFor(facts, 500));
    large.alt = nameOf(facts, each, k);
    buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === k)));
  };
  show(0);
  place.append(make("div", { class: "compared-large" }, large), make("div", { class: "compared-others" }, ...buttons));
  return place;
}
