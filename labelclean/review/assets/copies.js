// Near copies of what was just decided: they get the same label by one key.

import { byId, counted } from "./dom.js";

export class Copies {
  constructor() {
    this.rows = [];
    this.decision = null;
  }

  // decided: the cells that were just decided alike
  offer(decided) {
    const own = new Set(decided.map((cells) => cells.row));
    this.decision = decided[0]?.decision ?? null;
    // of who is unsure about one nothing follows for the others
    const copies = this.decision?.action === "unsure" ? [] : decided.flatMap((cells) => cells.copies);
    this.rows = [...new Set(copies)].filter((row) => !own.has(row));
    this.#show(decided[0]);
  }

  clear() {
    this.rows = [];
    this.#show(null);
  }

  // Those that nobody decided yet; decisions: of the backend, by row
  only(decisions, cells) {
    this.rows = this.rows.filter((row) => !decisions[row]);
    this.#show(cells);
  }

  // What is sent for them: the label itself, since each may have another suggestion.
  get asked() {
    const { action, label } = this.decision;
    return label < 0 ? { action, label: null } : { action: "other", label };
  }

  #show(cells) {
    byId("copies").hidden = this.rows.length === 0;
    if (this.rows.length)
      byId("copies-what").textContent = `${counted(this.rows.length, "near copy", "near copies")} of ${cells.image}`;
  }
}
