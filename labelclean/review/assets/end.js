// The end of a list: what is left, and what comes next.

import { byId, counted, make, numberText } from "./dom.js";

export class ListEnd {
  // onMore: shows all that is undecided; onOpen: shows the undecided of this list; onLearn: ranks
  // the undecided again, null where that cannot be
  constructor(backend, { onMore, onOpen, onLearn }) {
    this.backend = backend;
    this.dialog = byId("end");
    this.actions = { onMore, onOpen, onLearn };
    this.dialog.addEventListener("click", (event) => this.#copy(event));
  }

  async show(query) {
    if (this.dialog.open) return;
    const ahead = await this.backend.ahead(query);
    const listed = counted(ahead.listed, "image");
    byId("end-what").textContent = ahead.undecided
      ? `This list has ${listed}; ${numberText(ahead.undecided)} of them still without a decision.`
      : `${ahead.listed === 1 ? "The one image" : `All ${listed}`} of this list ${ahead.listed === 1 ? "has" : "have"} a decision.`;
    byId("end-choices").replaceChildren(...this.#choices(ahead));
    this.dialog.showModal();
  }

  #choices(ahead) {
    const choices = [];
    if (ahead.undecided)
      choices.push(this.#choice(`Go to the ${numberText(ahead.undecided)} undecided`, "Images of this list without a decision", this.actions.onOpen, choices));
    const [next] = ahead.batches;
    if (next) {
      const expected = ahead.batches
        .map(({ images, wrong }, k) => `${wrongText(wrong)} in ${k === ahead.batches.length - 1 ? "all" : "the next"} ${numberText(images)}`)
        .join(", ");
      choices.push(this.#choice("Look at more images", `Expected wrong labels: ${expected}`, this.actions.onMore, choices));
    } else if (!ahead.undecided)
      choices.push(make("p", { textContent: "Every image of the report has a decision." }));
    if (this.actions.onLearn && (next || ahead.undecided))
      choices.push(this.#choice("Learn again", "Rank the undecided images by your decisions first", this.actions.onLearn, choices));
    const download = byId("download");
    if (download) choices.push(this.#choice("Download decisions", "A CSV for labelclean apply --decisions", () => download.click(), choices));
    return choices;
  }

  #choice(title, what, act, before) {
    const button = make("button", { type: "button", class: before.length ? "choice" : "choice primary", autofocus: before.length === 0 },
      make("strong", { textContent: title }), make("span", { textContent: what }));
    button.addEventListener("click", () => {
      this.dialog.close();
      act();
    });
    return button;
  }

  async #copy(event) {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch { // no clipboard here: mark the text, for the person to copy
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = "Marked";
    }
  }
}

export function wrongText(wrong) {
  return wrong < 0.5 ? "less than 1" : `about ${numberText(Math.round(wrong))}`;
}
