// Learning: the list is ranked again from the decisions, and the page says what that changed.

import { announce, byId, counted, numberText, percent } from "./dom.js";

const SOON = 300; // ms between two looks while the list is being ranked

export class Learning {
  // onNew: shows the new order; onLook: asks the server how far it is
  constructor(facts, { onNew, onLook }) {
    this.facts = facts;
    this.actions = { onNew, onLook };
    this.shown = null; // generation of the order that the page shows; null before the first page
    this.told = null; // the last generation that was spoken of
    this.timer = 0;
  }

  // learning: of the answer that brought the page which is shown now
  shows(learning) {
    if (!learning) return;
    this.shown = learning.generation;
    this.told ??= learning.generation;
  }

  // learning: of any answer of the server; isBusy: whether the page must stay as it is for now
  take(learning, isBusy) {
    if (!learning) return;
    const { isRunning, generation, problem } = learning;
    byId("learning").classList.toggle("is-running", isRunning);
    byId("learning-text").textContent = problem ? `Not learned: ${problem}` : this.#text(learning);
    clearTimeout(this.timer);
    const isNew = this.told !== null && generation > this.told; // answers may overtake each other
    if (isRunning || (isNew && isBusy)) this.timer = setTimeout(this.actions.onLook, SOON);
    if (!isNew || isRunning || isBusy) return;
    this.told = generation;
    const ready = this.shown === generation ? Promise.resolve() : this.actions.onNew();
    ready.then(() =>
      announce(`Learned from ${counted(learning.learned, "decision")}: ${this.#text(learning)}`));
  }

  #text({ isRunning, generation, moved, noise }) {
    if (isRunning) return "learning…";
    if (!generation) return "after 10 decisions";
    return `${numberText(moved)} moved up, noise now about ${percent(noise, noise < 0.095 ? 1 : 0)}`;
  }
}
