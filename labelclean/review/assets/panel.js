// The panel: the image in focus, large, what is known of it, and images to compare it with.

import { byId, chanceText, decisionText, labelName, make } from "./dom.js";
import { badgesOf, showPixels } from "./grid.js";

const PAUSE = 120; // ms: keys held down must not ask for every image that flies by

export class Panel {
  constructor(facts, backend) {
    this.facts = facts;
    this.backend = backend;
    this.shown = null;
    this.timer = 0;
    const large = byId("large");
    showPixels(large);
    large.addEventListener("error", () => {
      large.hidden = true;
      byId("large-missing").hidden = false;
      byId("large-missing").textContent = `No image to show: ${this.facts.statuses[this.shown?.status] ?? "unknown"}`;
    });
    large.addEventListener("load", () => {
      large.hidden = false;
      byId("large-missing").hidden = true;
    });
  }

  clear() {
    this.shown = null;
    byId("panel").classList.add("is-empty");
  }

  show(cells) {
    const { facts } = this;
    byId("panel").classList.remove("is-empty");
    const isNew = this.shown?.row !== cells.row;
    this.shown = cells;
    const changes = cells.suggested !== cells.given && cells.suggested >= 0;
    byId("name").textContent = cells.image;
    byId("given").textContent = labelName(facts, cells.given);
    byId("suggested").textContent = labelName(facts, cells.suggested);
    byId("suggested-title").textContent = changes ? "suggested" : "judged right";
    byId("badges").replaceChildren(...badgesOf(facts, cells));
    byId("chance").value = cells.chance ?? 0;
    byId("chance").hidden = cells.chance === null;
    byId("chance-text").textContent = cells.chance === null ? "not judged" : `${chanceText(cells.chance)} chance to be wrong`;
    byId("figures").textContent = this.#figures(cells);
    const decision = byId("decision");
    decision.hidden = !cells.decision;
    decision.className = `decision ${cells.decision ? `is-${cells.decision.action}` : ""}`;
    decision.textContent = cells.decision ? this.#decided(cells.decision) : "";
    if (isNew) this.#showPictures(cells);
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

  #showPictures(cells) {
    const large = byId("large");
    large.hidden = false;
    byId("large-missing").hidden = true;
    large.alt = `${cells.image}, given ${labelName(this.facts, cells.given)}`;
    large.src = this.backend.thumb(cells.row); // at once; the large one follows
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#showMore(cells), PAUSE);
  }

  async #showMore(cells) {
    const preload = new Image();
    preload.addEventListener("load", () => {
      if (this.shown?.row === cells.row) byId("large").src = preload.src;
    });
    preload.src = this.backend.image(cells.row);
    let similar = [];
    try {
      similar = await this.backend.similar(cells);
    } catch {
      return; // the next request tells what is wrong; this one is only for comparison
    }
    if (this.shown?.row === cells.row) byId("similar").replaceChildren(...similar.map((each) => this.#strip(each, cells)));
  }

  #strip(each, cells) {
    const name = labelName(this.facts, each.label);
    const role = each.label === cells.given ? "given" : "suggested";
    const images = each.rows.map((row, k) => {
      const sure = each.similarity ? `, similarity ${each.similarity[k].toFixed(2)}` : "";
      const image = make("img", { alt: `${row.image}, ${name}${sure}`, title: `${row.image}${sure}`, loading: "lazy", decoding: "async" });
      showPixels(image);
      image.addEventListener("error", () => image.classList.add("broken"));
      image.src = this.backend.thumb(row.row);
      return image;
    });
    const kind = each.similarity ? "nearest" : "most trusted";
    return make(
      "section",
      { class: `strip ${role}` },
      make("h3", {}, `${kind} `, make("bdi", { textContent: name })),
      images.length ? make("div", { class: "strip-images" }, ...images) : make("p", { class: "muted", textContent: "none is judged right" }),
    );
  }
}
