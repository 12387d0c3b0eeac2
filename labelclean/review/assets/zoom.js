// The zoom: one photo in full resolution, moved and enlarged, beside the nearest of both classes.

import { byId, chanceText, decisionText, labelName, make } from "./dom.js";
import { keyOf } from "./keys.js";
import { compared } from "./compare.js";

const STEP = 1.4; // a press of + or −
const MOVE = 0.15; // of the place, a press of an arrow
const LARGEST = 12; // screen pixels for one of the photo, if that is more than the whole needs
const FULL = 0;

export class Zoom {
  constructor(facts, backend) {
    this.facts = facts;
    this.backend = backend;
    this.dialog = byId("zoom");
    this.area = byId("zoom-area");
    this.image = byId("zoom-image");
    this.cells = null;
    this.hasFull = false;
    this.scale = 1; // screen pixels (of CSS) for one of the picture shown
    this.x = 0;
    this.y = 0;
    this.isFitted = true;
    this.pointers = new Map();
    this.image.addEventListener("load", () => this.#loaded());
    this.image.addEventListener("error", () => this.#failed());
    this.area.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.area.addEventListener("dblclick", (event) => this.#toggle(event));
    for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel"])
      this.area.addEventListener(name, (event) => this.#pointer(event));
    this.dialog.addEventListener("click", (event) => {
      const button = event.target.closest("[data-zoom]");
      if (button) this.#do(button.dataset.zoom);
    });
    new ResizeObserver(() => this.#place()).observe(this.area);
  }

  get isOpen() {
    return this.dialog.open;
  }

  // at: the event that opened it, if the photo is to grow about that point
  open(cells, similar, at = null) {
    if (!this.isOpen) this.dialog.showModal();
    this.show(cells);
    this.compare(cells, similar);
    this.area.focus();
    if (at) this.#zoomBy(STEP, this.#centre());
  }

  close() {
    this.dialog.close();
  }

  show(cells) {
    const { facts } = this;
    const isNew = this.cells?.row !== cells.row;
    this.cells = cells;
    const given = labelName(facts, cells.given);
    const changes = cells.suggested !== cells.given && cells.suggested >= 0;
    byId("zoom-name").textContent = cells.image;
    byId("zoom-given").textContent = given;
    byId("zoom-suggested").textContent = changes ? labelName(facts, cells.suggested) : "judged right";
    byId("zoom-chance").textContent = cells.chance === null ? "" : `${chanceText(cells.chance)} chance to be wrong`;
    const decision = byId("zoom-decision");
    decision.hidden = !cells.decision;
    decision.className = `decision ${cells.decision ? `is-${cells.decision.action}` : ""}`;
    decision.textContent = cells.decision ? decisionText(facts, cells.decision) : "";
    if (!isNew) return;
    this.area.setAttribute("aria-label", `Photo ${cells.image}, given ${given}`);
    this.image.alt = `${cells.image}, given ${given}`;
    byId("zoom-note").hidden = true;
    this.hasFull = false;
    this.isFitted = true;
    this.image.hidden = true;
    this.image.src = this.backend.picture(cells.row, facts.sides.at(-2) ?? FULL); // at once; the full one follows
  }

  // similar: what the backend has to compare with, or null while it is not known
  compare(cells, similar) {
    if (this.cells?.row !== cells.row) return;
    byId("zoom-compare").replaceChildren(...(similar ?? []).map((each) => compared(this.facts, this.backend, each, cells)));
  }

  #loaded() {
    const { image } = this;
    image.hidden = false;
    const width = image.naturalWidth;
    if (!this.isFitted && this.width) this.scale *= this.width / width; // the same size as before
    this.width = width;
    this.height = image.naturalHeight;
    this.#place();
    if (this.hasFull || !this.cells) return;
    const row = this.cells.row;
    const full = new Image();
    full.addEventListener("load", () => {
      if (this.cells?.row !== row || this.hasFull) return;
      this.hasFull = true;
      image.src = full.src;
    });
    full.src = this.backend.picture(row, FULL);
    this.dialog.dataset.row = row;
  }

  #failed() {
    if (!this.cells) return;
    this.image.hidden = true;
    byId("zoom-note").textContent = `No image to show: ${this.cells.reason || this.facts.statuses[this.cells.status]}`;
    byId("zoom-note").hidden = false;
    this.width = 0;
  }

  get fit() {
    const { clientWidth, clientHeight } = this.area;
    return Math.min(clientWidth / this.width, clientHeight / this.height);
  }

  #place() {
    if (!this.width) return;
    const { clientWidth, clientHeight } = this.area;
    const { fit } = this;
    if (this.isFitted) this.scale = fit;
    this.scale = Math.max(Math.min(fit, 1), Math.min(this.scale, Math.max(LARGEST, fit * 4)));
    const inside = (at, size, room) => (size <= room ? (room - size) / 2 : Math.max(room - size, Math.min(0, at)));
    this.x = inside(this.x, this.width * this.scale, clientWidth);
    this.y = inside(this.y, this.height * this.scale, clientHeight);
    this.image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.image.classList.toggle("pixels", this.scale * devicePixelRatio >= 3);
    byId("zoom-scale").textContent = this.hasFull ? `${Math.round(100 * this.scale * devicePixelRatio)} %` : "…";
    byId("zoom-toggle").textContent = this.isFitted ? "100 %" : "Whole";
    this.area.classList.toggle("can-move", this.#canMove());
  }

  #canMove() {
    return this.width * this.scale > this.area.clientWidth + 1 || this.height * this.scale > this.area.clientHeight + 1;
  }

  #centre() {
    return { x: this.area.clientWidth / 2, y: this.area.clientHeight / 2 };
  }

  #zoomBy(factor, { x, y }) {
    if (!this.width) return;
    const before = this.scale;
    this.isFitted = false;
    this.scale = Math.max(Math.min(this.fit, 1), Math.min(before * factor, Math.max(LARGEST, this.fit * 4)));
    this.x = x - ((x - this.x) * this.scale) / before;
    this.y = y - ((y - this.y) * this.scale) / before;
    if (Math.abs(this.scale - this.fit) < this.fit * 0.001) this.isFitted = true;
    this.#place();
  }

  #at(event) {
    const { left, top } = this.area.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  #wheel(event) {
    event.preventDefault();
    this.#zoomBy(Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) * 0.003), this.#at(event));
  }

  #toggle(event = null) {
    if (!this.isFitted) {
      this.isFitted = true;
      this.#place();
      return;
    }
    const one = 1 / devicePixelRatio; // a pixel of the photo on a pixel of the screen
    const wanted = one > this.fit * 1.05 ? one : this.fit * 2;
    this.#zoomBy(wanted / this.scale, event ? this.#at(event) : this.#centre());
  }

  #pointer(event) {
    const { pointers } = this;
    if (event.type === "pointerdown") {
      if (event.button !== 0) return;
      pointers.set(event.pointerId, event);
      this.area.setPointerCapture(event.pointerId);
    } else if (!pointers.has(event.pointerId)) return;
    else if (event.type === "pointermove") this.#dragged(event);
    else pointers.delete(event.pointerId);
  }

  #dragged(event) {
    const before = this.pointers.get(event.pointerId);
    const other = [...this.pointers.values()].find((each) => each.pointerId !== event.pointerId);
    this.pointers.set(event.pointerId, event);
    if (other) { // two fingers
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
      this.#zoomBy(apart(event) / apart(before), this.#at({ clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 }));
    }
    this.x += (event.clientX - before.clientX) / (other ? 2 : 1);
    this.y += (event.clientY - before.clientY) / (other ? 2 : 1);
    this.#place();
  }

  #do(what) {
    if (what === "in") this.#zoomBy(STEP, this.#centre());
    else if (what === "out") this.#zoomBy(1 / STEP, this.#centre());
    else if (what === "toggle") this.#toggle();
    else if (what === "close") this.close();
    else if (what === "compare") {
      const isOff = this.dialog.classList.toggle("without-compare");
      this.dialog.querySelector("[data-zoom=compare]").setAttribute("aria-pressed", String(!isOff));
    }
  }

  // True if the key was the zoom's own.
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const key = keyOf(event);
    const isPressing = event.target instanceof Element && event.target.closest("button");
    const names = { "+": "in", "=": "in", "-": "out", "−": "out", c: "compare", Enter: isPressing ? null : "toggle" };
    const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (names[key]) this.#do(names[key]);
    else if (arrows[key] && this.#canMove()) {
      this.x += arrows[key][0] * MOVE * this.area.clientWidth;
      this.y += arrows[key][1] * MOVE * this.area.clientHeight;
      this.#place();
    } else return false;
    return true;
  }
}
