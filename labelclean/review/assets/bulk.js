// Accepting many images of one pair of labels at once, at an expected precision.

import { byId, counted, labelName, numberText, percent, picture, sideFor } from "./dom.js";

const LEAST_SURE = 12; // pictures shown of those to be accepted
const SIDE = 90; // px of one

export class BulkAccept {
  constructor(facts, backend) {
    this.facts = facts;
    this.backend = backend;
    this.dialog = byId("bulk");
    this.rows = [];
    this.asked = 0;
    byId("bulk-precision").addEventListener("change", () => this.#look());
    byId("bulk-cancel").addEventListener("click", () => this.#close([]));
    byId("bulk-accept").addEventListener("click", () => this.#close(this.rows));
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#close([]);
    });
  }

  // The rows to accept, none if the person thinks better of it.
  ask(cells) {
    this.cells = cells;
    byId("bulk-given").textContent = labelName(this.facts, cells.given);
    byId("bulk-suggested").textContent = labelName(this.facts, cells.suggested);
    this.#show({ rows: [], total: 0, names: [], precision: 0 }, "…");
    this.dialog.showModal();
    this.#look();
    return new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  async #look() {
    this.asked += 1;
    const asked = this.asked;
    try {
      const pair = await this.backend.pair(this.cells, Number(byId("bulk-precision").value));
      if (asked === this.asked) this.#show(pair, this.#text(pair));
    } catch (error) {
      if (asked === this.asked) this.#show({ rows: [], names: [] }, error.message);
    }
  }

  #text({ rows, total, precision }) {
    if (!total) return "No image of this pair is undecided.";
    if (!rows.length) return `${counted(total, "image")} undecided; not even the surest reaches this share.`;
    const which = rows.length === total
      ? `All ${counted(total, "undecided image")}` : `The surest ${numberText(rows.length)} of ${counted(total, "undecided image")}`;
    const wrong = rows.length * (1 - precision);
    return `${which}: ${percent(precision, 1)} of the suggestions are expected to be right, so about ${wrong < 9.95 ? wrong.toFixed(1) : Math.round(wrong)} will be wrong. Undo (z) takes the batch back.`;
  }

  #show({ rows, names }, text) {
    this.rows = rows;
    byId("bulk-what").textContent = text;
    byId("bulk-accept").textContent = rows.length ? `Accept ${numberText(rows.length)}` : "Accept";
    byId("bulk-accept").disabled = !rows.length;
    byId("bulk-least").hidden = !rows.length;
    const least = rows.slice(-LEAST_SURE);
    byId("bulk-images").replaceChildren(...least.map((row, k) =>
      picture(this.backend.picture(row, sideFor(this.facts, SIDE)), { alt: names[names.length - least.length + k], title: names[names.length - least.length + k] })));
  }

  #close(rows) {
    this.asked += 1;
    this.dialog.close();
    const { resolve } = this;
    this.resolve = null;
    resolve?.(rows);
  }
}
