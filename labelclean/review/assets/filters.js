// The filters: a form, a query, and the address of the page, which all say the same.

import { byId, isOneColumn, make, oneColumn } from "./dom.js";

const FIELDS = [
  "verdict", "given", "suggested", "label", "decided", "status", "flag", "low", "high", "search",
];

export class Filters {
  constructor(facts, onChange) {
    this.form = byId("filters");
    for (const name of ["given", "suggested", "label"]) this.#fill(name, facts.labels);
    this.#fill("status", facts.statuses.map((status) => (status === "duplicate_of" ? "exact copy" : status.replaceAll("_", " "))));
    this.#fill("flag", facts.flags.map((flag) => flag.replaceAll("_", " ")));
    byId("flag-filter").hidden = facts.flags.length === 0;
    const fold = () => {
      byId("filter-fold").open = !isOneColumn();
    };
    fold();
    oneColumn.addEventListener("change", fold);
    let timer = 0;
    this.form.addEventListener("input", (event) => {
      clearTimeout(timer);
      const isTyped = event.target.tagName === "INPUT";
      timer = setTimeout(onChange, isTyped ? 180 : 0);
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("reset", () => setTimeout(onChange));
  }

  #fill(name, texts) {
    const select = this.form.elements[name];
    const options = texts.map((text, code) => [text, code]);
    if (name !== "status" && name !== "flag")
      options.sort(([one], [other]) => one.localeCompare(other));
    for (const [text, code] of options)
      select.append(make("option", { value: String(code), textContent: text }));
  }

  query() {
    const set = {};
    for (const name of FIELDS) {
      const { value } = this.form.elements[name];
      if (value !== "") set[name] = value;
    }
    return set;
  }

  set(query) {
    for (const name of FIELDS) this.form.elements[name].value = query[name] ?? "";
  }

  // How many are set, where the form is folded away.
  showCount() {
    const count = Object.keys(this.query()).length;
    byId("filter-count").textContent = count ? `${count} set` : "";
  }

  focusSearch() {
    this.form.elements.search.focus();
  }
}

export function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  const query = {};
  for (const name of FIELDS) if (found.has(name)) query[name] = found.get(name);
  return { view: found.get("view") ?? "summary", query, offset: Number(found.get("offset")) || 0 };
}

export function writeAddress(view, query, offset) {
  const parts = new URLSearchParams({ view, ...query });
  if (offset) parts.set("offset", offset);
  history.replaceState(null, "", `${location.pathname}#${parts}`);
}
