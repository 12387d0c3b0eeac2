// What keys, clicks and the wheel do: each becomes a command of the review.

import { digitClasses } from "./classes.js";
import { byId } from "./dom.js";
import { commandOf, keyOf } from "./keys.js";

export function isTyping(element) {
  return element instanceof HTMLElement && element.matches("input, select, textarea");
}

export class Input {
  constructor(review) {
    this.review = review;
    document.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("click", (event) => this.#click(event));
    byId("photo").addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    review.grid.place.addEventListener("dblclick", () => review.openZoom());
  }

  #key(event) {
    const { zoom, grid } = this.review;
    const dialog = document.querySelector("dialog[open]");
    const inZoom = zoom.isOpen && !document.querySelector("dialog[open]:not(#zoom)");
    if (dialog && !inZoom) return;
    if (isTyping(event.target)) {
      if (event.key !== "Escape") return;
      grid.focus(Math.max(0, grid.focused));
      event.preventDefault();
      return;
    }
    if (inZoom ? zoom.key(event) || this.#run(event, true) : this.#outside(event)) event.preventDefault();
  }

  // The keys of the page where no dialog is open. True if it was one of them.
  #outside(event) {
    const key = event.ctrlKey || event.metaKey || event.altKey ? "" : keyOf(event);
    // Bars of the histogram are no buttons, so Enter and Space are ours to hear.
    const bar = event.target instanceof Element && event.target.closest("g[data-filter]");
    if (bar && (key === "Enter" || key === " ")) this.review.openFilter(bar.dataset.filter);
    else if (key === "?") byId("help").showModal();
    else if (key === "s") this.review.show("summary");
    else if (key === "r" && this.review.view === "summary") this.review.show("review");
    else return this.review.view === "review" && this.#run(event);
    return true;
  }

  // False if the key is none of the review's.
  #run(event, inZoom = false) {
    const isPressing = event.target instanceof Element && event.target.closest("button, summary, a");
    if (isPressing && (event.key === " " || event.key === "Enter")) return false; // the button's own
    const name = commandOf(event, { inZoom });
    if (name === null) return false;
    if (name.startsWith("class ")) this.#decideClass(Number(name.at(-1)) - 1);
    else if (name) this.review.commands[name]();
    return true;
  }

  // Only the digits that stand on the buttons.
  #decideClass(digit) {
    const { grid, facts } = this.review;
    const cells = grid.rows[grid.focused];
    const code = cells && digitClasses(facts, cells)[digit];
    if (code !== undefined) this.review.decide("other", code);
  }

  #click(event) {
    const target = event.target instanceof Element ? event.target : null;
    const command = target?.closest("[data-command]");
    const tab = target?.closest("[data-view]");
    const filter = target?.closest("[data-filter]");
    if (command) this.review.commands[command.dataset.command]();
    else if (tab) this.review.show(tab.dataset.view);
    else if (filter) this.review.openFilter(filter.dataset.filter);
  }

  #wheel(event) {
    if (event.deltaY >= 0 || event.ctrlKey) return; // down: the page scrolls
    event.preventDefault();
    this.review.openZoom(event);
  }
}
