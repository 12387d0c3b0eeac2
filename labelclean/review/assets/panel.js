// The panel: the image in focus, large, what is known of it, and images to compare it with.

import { byId, chanceText, decisionText, labelName, showPixels, sideFor } from "./dom.js";
import { strip } from "./compare.js";
import { badgesOf } from "./grid.js";

const PAUSE = 120; // ms: keys held down must not ask for every image that flies by
const SMALL = 180; // px: of a card in the grid, whose picture is there already

export class Panel {
  constructor(facts, backend) {
    this.facts = facts;
    this.backend = backend;
    this.shown = null;
    this.similar = null; // of the row shown, once they are known
    this.onSimilar = null;
    this.wasHidden = false; // when the picture's size was chosen
    this.next = () => null; // cells of the image that is looked at next
    this.timer = 0;
    const large = byId("large");
    showPixels(large);
    large.addEventListener("error", () => {
      byId("photo").hidden = true;
      byId("large-missing").hidden = false;
      byId("large-missing").textContent = `No image to show: ${this.shown?.reason || (this.facts.statuses[this.shown?.status] ?? "unknown")}`;
    });
    large.addEventListener("load", () => {
      byId("photo").hidden = false;
      byId("large-missing").hidden = true;
    });
  }

  clear() {
    this.shown = null;
    this.similar = null;
    byId("panel").classList.add("is-empty");
  }

  show(cells) {
    const { facts } = this;
    byId("panel").classList.remove("is-empty");
    const isNew = this.shown?.row !== cells.row;
    this.shown = cells;
    const changes = cells.suggested !== cells.given && cells.suggested >= 0;
    byId("name").textContent = cells.image;
    for (const name of ["given", "suggested"])
      byId(name).textContent = byId(name).title = labelName(facts, cells[name]);
    byId("suggested-title").textContent = changes ? "suggested" : "judged right";
    byId("badges").replaceChildren(...badgesOf(facts, cells));
    byId("chance").value = cells.chance ?? 0;
    byId("chance").hidden = cells.chance === null;
    byId("chance-text").textContent = cells.chance === null ? "not judged" : chanceText(cells.chance);
    byId("chance-rest").textContent = cells.chance === null ? "" : "chance to be wrong";
    byId("figures").textContent = this.#figures(cells);
    const decision = byId("decision");
    decision.hidden = !cells.decision;
    decision.className = `decision ${cells.decision ? `is-${cells.decision.action}` : ""}`;
    decision.textContent = cells.decision ? this.#decided(cells.decision) : "";
    if (isNew || this.wasHidden) this.#showPictures(cells);
  }

  #figures(cells) {
    const parts = [];
    if (cells.score !== null) parts.push(`score ${cells.score.toFixed(3)}`);
    if (cells.sure !== null) parts.push(`${labelName(this.facts, cells.suggested)} ${chanceText(cells.sure)}`);
    if (cells.second >= 0) parts.push(`second best ${labelName(this.facts, cells.second)}`);
    return parts.join(" · ");
  }

  #decided(decision) {
    const when = new Date(decision.at);
    const at = Number.isNaN(when.getTime()) ? decision.at : when.toLocaleString();
    const by = decision.reviewer ? ` by ${decision.reviewer}` : "";
    return `${decisionText(this.facts, decision)}${by}, ${at}`;
  }

  // Beside the summary the panel is hidden and has no size: then the picture is asked for again.
  #side() {
    const { clientWidth, clientHeight } = byId("photo").parentElement;
    this.wasHidden = clientWidth === 0;
    return sideFor(this.facts, Math.max(clientWidth, clientHeight));
  }

  #showPictures(cells) {
    const large = byId("large");
    byId("photo").hidden = false;
    byId("large-missing").hidden = true;
    large.alt = `${cells.image}, given ${labelName(this.facts, cells.given)}`;
    large.src = this.backend.picture(cells.row, sideFor(this.facts, SMALL)); // at once; the large one follows
    this.similar = null;
    this.wasHidden = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#showMore(cells), PAUSE);
  }

  async #showMore(cells) {
    const side = this.#side();
    const preload = new Image();
    preload.addEventListener("load", () => {
      if (this.shown?.row !== cells.row) return;
      byId("large").src = preload.src;
      const next = this.next();
      if (next) new Image().src = this.backend.picture(next.row, side);
    });
    preload.src = this.backend.picture(cells.row, side);
    let similar = [];
    try {
      similar = await this.backend.similar(cells);
    } catch {
      return; // the next request says what is wrong; this one is only for comparison
    }
    if (this.shown?.row !== cells.row) return;
    this.similar = similar;
    byId("similar").replaceChildren(...similar.map((each) => strip(this.facts, this.backend, each, cells)));
    this.onSimilar?.(cells, similar);
  }
}
