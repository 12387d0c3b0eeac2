// The dialog for another label: type to find it, Enter to choose.

import { byId, make } from "./dom.js";

const MOST = 60; // labels listed at once

export class Chooser {
  constructor(facts) {
    this.facts = facts;
    this.dialog = byId("chooser");
    this.input = byId("chooser-input");
    this.list = byId("chooser-list");
    this.found = [];
    this.active = 0;
    this.input.addEventListener("input", () => this.#search());
    this.input.addEventListener("keydown", (event) => this.#key(event));
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
    this.input.focus();
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
    this.found = names
      .filter(({ low }) => low.includes(typed))
      .sort((one, other) => place(one) - place(other) || one.name.localeCompare(other.name))
      .slice(0, MOST);
    this.list.replaceChildren(
      ...this.found.map(({ name, code }, k) =>
        make("li", { role: "option", id: `choice-${k}`, "aria-selected": "false", "data-code": code },
          make("bdi", { textContent: name })),
      ),
      ...(this.found.length ? [] : [make("li", { class: "muted", textContent: "No such label" })]),
    );
    this.#activate(0);
  }

  #activate(at) {
    this.active = Math.max(0, Math.min(at, this.found.length - 1));
    [...this.list.children].forEach((option, k) => option.setAttribute("aria-selected", String(k === this.active)));
    const option = this.list.children[this.active];
    if (this.found.length) this.input.setAttribute("aria-activedescendant", option.id);
    else this.input.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    if (event.key === "ArrowDown") this.#activate(this.active + 1);
    else if (event.key === "ArrowUp") this.#activate(this.active - 1);
    else if (event.key === "Enter" && !event.isComposing) {
      if (this.found.length) this.#close(this.found[this.active].code);
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
