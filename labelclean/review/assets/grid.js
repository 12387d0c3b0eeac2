// The grid: one page of thumbnails, the one in focus and those selected.

import { byId, chanceText, isOneColumn, labelName, make, picture, sideFor } from "./dom.js";

const CARD = 180; // px of a picture
const SIGNS = { accept: "✓", keep: "↩", other: "✎", exclude: "✕", unsure: "?" };
export function badgesOf(facts, cells) {
  const badges = [];
  const status = facts.statuses[cells.status];
  if (status !== "ok") badges.push(["info", status === "duplicate_of" ? "exact copy" : status.replaceAll("_", " ")]);
  for (const flag of cells.flags) {
    const name = facts.flags[flag];
    badges.push([name === "copies_disagree" ? "warn" : "info", name.replaceAll("_", " ")]);
  }
  return badges.map(([kind, text]) => make("span", { class: `badge ${kind}`, textContent: text }));
}

export class Grid {
  constructor(facts, backend, onFocus) {
    this.facts = facts;
    this.backend = backend;
    this.place = byId("grid");
    this.rows = [];
    this.cards = [];
    this.focused = -1;
    this.selected = new Set();
    this.anchor = -1;
    this.onFocus = onFocus;
    this.place.addEventListener("click", (event) => this.#clicked(event));
  }

  show(rows) {
    const wasInGrid = this.place.contains(document.activeElement);
    this.rows = rows;
    this.selected.clear();
    this.cards = rows.map((cells, at) => this.#card(cells, at));
    this.place.replaceChildren(...this.cards);
    this.focused = -1;
    this.anchor = -1;
    return wasInGrid;
  }

  #card(cells, at) {
    const { facts } = this;
    const image = picture("", { alt: "", loading: "lazy" });
    image.addEventListener("error", () => {
      image.hidden = true;
      card.classList.add("without-image");
    });
    image.src = this.backend.picture(cells.row, sideFor(facts, CARD));
    const hidden = (text) => make("span", { class: "visually-hidden", textContent: text });
    const label = (kind, code) => make("bdi", { class: kind, title: labelName(facts, code), textContent: labelName(facts, code) });
    const changes = cells.suggested !== cells.given && cells.suggested >= 0;
    const card = make(
      "div",
      { class: "thumb", role: "option", id: `card-${at}`, tabIndex: -1, "aria-selected": "false", "data-at": at },
      hidden(`${cells.image} `),
      make("div", { class: "frame" }, image, make("span", { class: "no-image", textContent: "no image" }),
        make("span", { class: "badges" }, ...badgesOf(facts, cells))),
      make("div", { class: "labels" }, hidden(" given "), label("from", cells.given),
        ...(changes ? [hidden(" suggested "), label("to", cells.suggested)] : [hidden(" judged right")])),
      make("div", { class: "meta" },
        make("span", { textContent: cells.chance === null ? "not judged" : `${chanceText(cells.chance)} wrong` })),
      make("span", { class: "stamp" }),
      make("span", { class: "visually-hidden undecided", textContent: "undecided" }),
      make("span", { class: "check", "aria-hidden": "true", textContent: "✓" }),
    );
    this.#mark(card, cells);
    return card;
  }

  #mark(card, cells) {
    const { facts } = this;
    const decision = cells.decision;
    const isWaiting = Boolean(cells.waiting);
    card.classList.toggle("waiting", isWaiting);
    for (const action of facts.actions) card.classList.toggle(`is-${action}`, decision?.action === action);
    const stamp = card.querySelector(".stamp");
    stamp.hidden = !decision;
    stamp.textContent = decision ? `${SIGNS[decision.action]} ${decision.action === "other" ? decision.name : decision.action}` : "";
    card.querySelector(".undecided").hidden = Boolean(decision);
  }

  refresh(row) {
    this.rows.forEach((cells, at) => {
      if (cells.row === row) this.#mark(this.cards[at], cells);
    });
  }

  focus(at, { isQuiet = false } = {}) {
    if (!this.rows.length) return;
    const next = Math.max(0, Math.min(at, this.rows.length - 1));
    const before = this.cards[this.focused];
    if (before) {
      before.tabIndex = -1;
      before.classList.remove("in-focus");
    }
    this.focused = next;
    const card = this.cards[next];
    card.tabIndex = 0;
    card.classList.add("in-focus");
    if (!isQuiet) card.focus({ preventScroll: true });
    // In one column the photo and its buttons are above: they are what is to be seen.
    if (isOneColumn()) byId("panel").scrollIntoView({ block: "start" });
    else card.scrollIntoView({ block: "nearest" });
    this.onFocus(this.rows[next], next);
  }

  // The number of cards in a line, which the style decides.
  columns() {
    const top = this.cards[0]?.offsetTop;
    const end = this.cards.findIndex((card) => card.offsetTop !== top);
    return end < 0 ? this.cards.length : end;
  }

  setSelected(at, isSelected) {
    const cells = this.rows[at];
    if (!cells) return;
    if (isSelected) this.selected.add(at);
    else this.selected.delete(at);
    this.cards[at].setAttribute("aria-selected", String(isSelected));
  }

  clear() {
    for (const at of [...this.selected]) this.setSelected(at, false);
    this.anchor = -1;
  }

  // All from where the selection began to `at`, and no others of this stretch.
  extendTo(at) {
    if (at < 0 || at >= this.rows.length) return;
    if (this.anchor < 0) this.anchor = this.focused;
    const reach = [this.anchor, this.focused, at];
    for (let k = Math.min(...reach); k <= Math.max(...reach); k += 1)
      this.setSelected(k, k >= Math.min(this.anchor, at) && k <= Math.max(this.anchor, at));
    this.focus(at);
  }

  toggle(at) {
    this.setSelected(at, !this.selected.has(at));
    this.anchor = at;
  }

  // Of a batch, or the one in focus.
  chosen() {
    const places = this.selected.size ? [...this.selected] : [this.focused];
    return places.filter((at) => at >= 0).sort((one, other) => one - other);
  }

  #clicked(event) {
    const card = event.target.closest(".thumb");
    if (!card) return;
    const at = Number(card.dataset.at);
    if (event.shiftKey) this.extendTo(at);
    else {
      if (event.ctrlKey || event.metaKey) this.toggle(at);
      this.focus(at);
    }
    this.onSelection?.();
  }
}
