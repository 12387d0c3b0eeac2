// The dialog for another label: one key for each of up to 36 classes; of more, type to find it.

import { CHOOSER_KEYS } from "./classes.js";
import { byId, make } from "./dom.js";

const MOST = 60; // labels listed at once

export class Chooser {
  constructor(facts) {
    this.facts = facts;
    this.dialog = byId("chooser");
    this.input = byId("chooser-input");
    this.list = byId("chooser-list");
    this.hasKeys = facts.labels.length <= CHOOSER_KEYS.length;
    this.shown = [];
    this.active = 0;
    byId("chooser-hint").textContent = this.hasKeys
      ? "Press the key of a class, or / to find it by its name." : `${facts.labels.length} classes: type a part of the name.`;
    this.input.addEventListener("input", () => this.#search());
    this.input.addEventListener("keydown", (event) => this.#move(event));
    this.list.addEventListener("keydown", (event) => this.#pressed(event));
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.#close(Number(option.dataset.code));
    });
    byId("chooser-cancel").addEventListener("click", () => this.#close(null));
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#close(null);
    });
    this.dialog.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  }

  // The code of a label, or null if the person thinks better of it.
  ask(what, first) {
    this.first = first.filter((code) => code >= 0);
    byId("chooser-what").textContent = what;
    this.input.value = "";
    this.#search();
    this.dialog.showModal();
    (this.hasKeys ? this.list : this.input).focus();
    return new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  #search() {
    const typed = this.input.value.trim().toLocaleLowerCase();
    const names = this.facts.labels.map((name, code) => ({ name, code, low: name.toLocaleLowerCase() }));
    const place = ({ code, low }) => {
      if (typed) return low === typed ? 0 : low.startsWith(typed) ? 1 : 2;
      return this.first.includes(code) ? this.first.indexOf(code) - this.first.length : 0;
    };
    const matching = names.filter(({ low }) => low.includes(typed));
    // With keys the order never changes, so that a class is always in one place.
    if (!this.hasKeys || typed)
      matching.sort((one, other) => place(one) - place(other) || one.name.localeCompare(other.name));
    this.shown = matching.slice(0, MOST);
    const isKeyed = this.hasKeys && !typed;
    this.list.classList.toggle("has-keys", isKeyed);
    this.list.replaceChildren(
      ...this.shown.map(({ name, code }, k) =>
        make("li", { role: "option", id: `choice-${k}`, "aria-selected": "false", "data-code": code, title: name },
          make("bdi", { textContent: name }), isKeyed ? make("kbd", { "data-key": CHOOSER_KEYS[k] }) : null),
      ),
      ...(this.shown.length ? [] : [make("li", { class: "muted", role: "option", "aria-disabled": "true", "aria-selected": "false", textContent: "No such label" })]),
    );
    const [likeliest] = this.first;
    this.#activate(isKeyed && likeliest >= 0 ? likeliest : 0);
  }

  #activate(at) {
    this.active = Math.max(0, Math.min(at, this.shown.length - 1));
    [...this.list.children].forEach((option, k) => option.setAttribute("aria-selected", String(k === this.active && this.shown.length > 0)));
    const option = this.list.children[this.active];
    for (const owner of [this.input, this.list])
      if (this.shown.length) owner.setAttribute("aria-activedescendant", option.id);
      else owner.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return this.#move(event);
    const at = event.key.length === 1 ? CHOOSER_KEYS.indexOf(event.key.toLowerCase()) : -1;
    if (event.key === "/") this.input.focus();
    else if (this.hasKeys && at >= 0 && at < this.shown.length) this.#close(this.shown[at].code);
    else return this.#move(event);
    event.preventDefault();
    event.stopPropagation(); // the dialog is closed by now: the page would take the key too
    return null;
  }

  #move(event) {
    if (event.key === "ArrowDown") this.#activate(this.active + 1);
    else if (event.key === "ArrowUp") this.#activate(this.active - 1);
    else if (event.key === "Enter" && !event.isComposing) {
      if (this.shown.length) this.#close(this.shown[this.active].code);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #close(code) {
    this.dialog.close();
    const { resolve } = this;
    this.resolve = null;
    resolve?.(code);
  }
}
