// The review: views, pages, keys and decisions.

import { announce, byId, counted, decisionText, numberText, showBanner } from "./dom.js";
import { showCounters } from "./counters.js";
import { Filters, readAddress, writeAddress } from "./filters.js";
import { Grid } from "./grid.js";
import { Panel } from "./panel.js";
import { Chooser } from "./chooser.js";
import { showClassKeys } from "./classes.js";
import { BulkAccept } from "./bulk.js";
import { Copies } from "./copies.js";
import { ListEnd } from "./end.js";
import { Learning } from "./learn.js";
import { Zoom } from "./zoom.js";
import { Input, isTyping } from "./input.js";
import { watchTheme } from "./looks.js";

const POLL = 2500; // ms between two looks for what other tabs decided

export class Review {
  constructor(facts, backend) {
    this.facts = facts;
    this.backend = backend;
    this.filters = new Filters(facts, () => this.load({ offset: 0 }));
    this.grid = new Grid(facts, backend, (cells) => this.#focused(cells));
    this.grid.onSelection = () => this.#showSelection();
    this.panel = new Panel(facts, backend);
    this.panel.next = () => this.grid.rows[this.grid.focused + 1];
    this.panel.onSimilar = (cells, similar) => this.zoom.compare(cells, similar);
    this.zoom = new Zoom(facts, backend);
    this.chooser = new Chooser(facts);
    this.bulk = new BulkAccept(facts, backend);
    this.copies = new Copies();
    this.end = new ListEnd(backend, {
      onMore: () => this.openFilter("decided=no"),
      onOpen: () => this.openFilter(String(new URLSearchParams({ ...this.filters.query(), decided: "no" }))),
      onLearn: facts.learns ? () => this.#learn() : null,
    });
    this.learning = new Learning(facts, {
      onNew: () => this.load({ find: this.#inFocus() ?? "undecided" }, this.#inFocus()),
      onLook: () => this.#poll(),
    });
    this.page = { total: 0, offset: 0, rows: [] };
    this.version = -1;
    this.asked = 0;
    this.isTurning = false;
    this.isSilent = false; // the last look found no server
    this.view = "summary";
    this.commands = this.#commands();
    new Input(this);
    byId("page-size").addEventListener("change", () => this.load({ offset: 0 }));
    byId("help-open").addEventListener("click", () => byId("help").showModal());
    byId("zoom").addEventListener("close", () => this.grid.focus(this.grid.focused));
    byId("end").addEventListener("close", () => this.grid.focus(this.grid.focused));
    watchTheme();
  }

  async start() {
    const { view, query, offset } = readAddress();
    const isFresh = Object.keys(query).length === 0 && view !== "review";
    this.filters.set(isFresh ? this.facts.first : query);
    this.show(view === "review" ? "review" : "summary");
    await this.load(isFresh ? { find: "undecided" } : { offset });
    setInterval(() => this.#poll(), POLL);
  }

  get size() {
    return Number(byId("page-size").value);
  }

  show(view) {
    this.view = view;
    byId("summary").hidden = view !== "summary";
    byId("review").hidden = view !== "review";
    for (const tab of document.querySelectorAll("[data-view]")) {
      if (tab.dataset.view === view) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    this.#writeAddress();
    if (view === "review" && this.grid.rows.length) this.grid.focus(Math.max(0, this.grid.focused));
    else byId(view).focus({ preventScroll: true });
    if (view === "summary") window.scrollTo(0, 0);
  }

  // Shows a page; the last one asked for wins. focus: "first", "last" or "undecided"
  async load(where, focus = "undecided") {
    this.asked += 1;
    const asked = this.asked;
    const { query, size } = { query: this.filters.query(), size: this.size };
    byId("grid").setAttribute("aria-busy", "true");
    this.filters.showCount();
    let page;
    try {
      page = await this.backend.page(query, size, where);
    } catch (error) {
      if (asked === this.asked) showBanner(error.message);
      return;
    }
    if (asked !== this.asked) return;
    showBanner("");
    this.page = page;
    this.learning.shows(page.learning);
    const wasInGrid = this.grid.show(page.rows);
    byId("grid").setAttribute("aria-busy", "false");
    byId("empty").hidden = page.total > 0;
    const last = page.offset + page.rows.length;
    const range = page.total
      ? `${numberText(page.offset + 1)}–${numberText(last)} of ${counted(page.total, "image")}` : "0 images";
    byId("range").textContent = range;
    byId("page-number").textContent =
      `${Math.floor(page.offset / size) + 1} / ${Math.max(1, Math.ceil(page.total / size))}`;
    this.#countersFrom(page);
    this.#showSelection();
    this.#writeAddress();
    if (!page.rows.length) {
      this.panel.clear();
      announce("No image fits these filters");
      return;
    }
    announce(range);
    this.grid.focus(this.#placeOf(focus), { isQuiet: this.view !== "review" || (isTyping(document.activeElement) && !wasInGrid) });
  }

  // Of every image that comes into focus, in the grid, the panel and an open zoom.
  #focused(cells) {
    this.panel.show(cells);
    showClassKeys(this.facts, cells, (code) => this.decide("other", code));
    if (this.zoom.isOpen) {
      this.zoom.show(cells);
      this.zoom.compare(cells, this.panel.similar);
    }
  }

  #inFocus() {
    return this.grid.rows[this.grid.focused]?.row ?? null;
  }

  openZoom(at = null) {
    const cells = this.grid.rows[this.grid.focused];
    if (cells) this.zoom.open(cells, this.panel.similar, at);
  }

  #placeOf(focus) {
    const { rows } = this.grid;
    if (focus === "last") return rows.length - 1;
    if (typeof focus === "number") return Math.max(0, rows.findIndex((cells) => cells.row === focus));
    return focus === "first" ? 0 : Math.max(0, rows.findIndex((cells) => !cells.decision));
  }

  #commands() {
    const { grid } = this;
    const by = (step) => () => this.#move(grid.focused + step);
    const extend = (step) => () => {
      grid.extendTo(grid.focused + step());
      this.#showSelection();
    };
    return {
      accept: () => this.decide("accept"),
      keep: () => this.decide("keep"),
      exclude: () => this.decide("exclude"),
      unsure: () => this.decide("unsure"),
      other: () => this.#decideOther(),
      undo: () => this.#undo(),
      bulk: () => this.#acceptMany(),
      copies: () => this.#decideCopies(),
      learn: () => this.#learn(),
      zoom: () => this.openZoom(),
      back: by(-1),
      on: by(1),
      up: () => this.#move(grid.focused - grid.columns(), true),
      down: () => this.#move(grid.focused + grid.columns(), true),
      first: () => grid.focus(0),
      last: () => grid.focus(grid.rows.length - 1),
      select: () => {
        grid.toggle(grid.focused);
        this.#showSelection();
      },
      "extend-back": extend(() => -1),
      "extend-on": extend(() => 1),
      "extend-up": extend(() => -grid.columns()),
      "extend-down": extend(() => grid.columns()),
      pair: () => this.#selectPair(),
      clear: () => {
        grid.clear();
        this.#showSelection();
      },
      "page-back": () => this.#turn(-1),
      "page-on": () => this.#turn(1),
      search: () => this.filters.focusSearch(),
      reset: () => byId("filters").reset(),
    };
  }

  #move(at, isLine = false) {
    const { rows } = this.grid;
    if (at < 0 && !isLine) this.#turn(-1, "last");
    else if (at >= rows.length && !isLine) this.#turn(1, "first");
    else if (at >= 0 && at < rows.length) this.grid.focus(at);
  }

  #turn(step, focus = "first") {
    const { offset, rows, total } = this.page;
    let next = offset + step * this.size;
    // With this filter what was just decided is gone from the list, so the rest has moved up.
    if (step > 0 && this.filters.query().decided === "no")
      next = offset + rows.filter((cells) => !cells.decision).length;
    if (step > 0 && next >= total && offset + rows.length >= total) return this.#showEnd();
    else if (step < 0 && offset === 0) announce("This is the first page");
    else return this.load({ offset: Math.max(0, next) }, focus);
    return null;
  }

  async #showEnd() {
    if (this.zoom.isOpen) this.zoom.close();
    try {
      await this.end.show(this.filters.query());
    } catch (error) {
      showBanner(error.message);
    }
  }

  #selectPair() {
    const { grid } = this;
    const model = grid.rows[grid.focused];
    if (!model) return;
    grid.clear();
    grid.rows.forEach((cells, at) => {
      const isSame = cells.given === model.given && cells.suggested === model.suggested;
      if (isSame && (!cells.decision || cells === model)) grid.setSelected(at, true);
    });
    this.#showSelection();
  }

  #showSelection() {
    const count = this.grid.selected.size;
    byId("selection").hidden = count === 0;
    byId("selected-count").textContent = `${count} selected`;
    document.body.classList.toggle("has-selection", count > 0);
    if (count) announce(`${count} selected`);
  }

  async decide(action, label = null, places = this.grid.chosen()) {
    const { grid } = this;
    if (!places.length) return;
    const cells = places.map((at) => grid.rows[at]);
    // A key that is meant for the next image must not fall on this one while the page turns.
    if (this.isTurning || cells.some((each) => each.waiting)) return;
    for (const each of cells) {
      each.waiting = true;
      grid.refresh(each.row);
    }
    grid.clear();
    this.#showSelection();
    // After a batch, what was left out of it comes next, wherever that stands on the page.
    const isLast = !this.#goOn(places.at(-1)) && !(places.length > 1 && this.#goOn(-1));
    let answer;
    try {
      answer = await this.backend.decide(cells.map((each) => each.row), action, label, this.#inFocus());
    } catch (error) {
      showBanner(`Not stored: ${error.message}`);
      if (grid.rows[places[0]] === cells[0]) grid.focus(places[0]);
      return;
    } finally {
      for (const each of cells) {
        each.waiting = false;
        grid.refresh(each.row);
      }
    }
    showBanner("");
    this.#take(answer);
    const [first] = cells;
    const done = first.decision ? decisionText(this.facts, first.decision) : "";
    announce(cells.length === 1 ? `${first.image} ${done}` : `${cells.length} images: ${done}`);
    this.#offerCopies(cells);
    if (!isLast) return;
    this.isTurning = true;
    await this.#turn(1, "undecided");
    this.isTurning = false;
    if (!this.page.total) await this.#showEnd();
  }

  async #offerCopies(cells) {
    this.copies.offer(cells);
    if (!this.copies.rows.length) return;
    const { decisions } = await this.backend.states(this.copies.rows, -1, this.#inFocus());
    this.copies.only(decisions ?? {}, cells[0]);
    if (this.copies.rows.length) announce(`${byId("copies-what").textContent}: d decides them alike`);
  }

  async #decideCopies() {
    const { rows } = this.copies;
    if (!rows.length) {
      announce("What you decided last has no undecided near copies");
      return;
    }
    const { action, label } = this.copies.asked;
    this.copies.clear();
    try {
      this.#take(await this.backend.decide(rows, action, label, this.#inFocus()));
      showBanner("");
      announce(`${counted(rows.length, "near copy", "near copies")} decided alike`);
    } catch (error) {
      showBanner(`Not stored: ${error.message}`);
    }
  }

  // To the next image without a decision on this page; false if there is none.
  #goOn(from) {
    const { rows } = this.grid;
    const at = rows.findIndex((cells, k) => k > from && !cells.decision && !cells.waiting);
    if (at >= 0) this.grid.focus(at);
    return at >= 0;
  }

  async #decideOther() {
    const { grid } = this;
    const places = grid.chosen();
    if (!places.length) return;
    const { image, given, suggested, second } = grid.rows[places[0]];
    const what = places.length > 1 ? `For ${places.length} images` : image;
    const code = await this.chooser.ask(what, [second, suggested].filter((code) => code !== given));
    grid.focus(grid.focused);
    if (code !== null) await this.decide("other", code, places);
  }

  async #acceptMany() {
    const cells = this.grid.rows[this.grid.focused];
    if (!cells || this.isTurning) return;
    if (cells.suggested < 0 || cells.suggested === cells.given) {
      announce("This label is judged right: there is nothing to accept");
      return;
    }
    const rows = await this.bulk.ask(cells);
    if (rows.length) {
      this.isTurning = true;
      try {
        await this.backend.decide(rows, "accept", null, null);
        await this.load({ find: "undecided" });
        announce(`${counted(rows.length, "image")} accepted`);
      } catch (error) {
        showBanner(`Not stored: ${error.message}`);
      }
      this.isTurning = false;
    }
    this.grid.focus(this.grid.focused);
  }

  async #undo() {
    this.copies.clear();
    let answer;
    try {
      answer = await this.backend.undo();
    } catch (error) {
      showBanner(error.message);
      return;
    }
    showBanner("");
    const { changed } = answer;
    this.#take(answer);
    if (!changed.length) {
      announce("Nothing of yours to undo");
      return;
    }
    announce(changed.length === 1 ? "1 decision undone" : `${changed.length} decisions undone`);
    const at = this.grid.rows.findIndex((cells) => cells.row === changed[0]);
    if (at >= 0) this.grid.focus(at);
    else await this.load({ find: changed[0] }, changed[0]);
  }

  #take(answer) {
    for (const [row, decision] of Object.entries(answer.decisions ?? {})) {
      for (const cells of this.grid.rows)
        if (cells.row === Number(row)) cells.decision = decision;
      this.grid.refresh(Number(row));
    }
    const focused = this.grid.rows[this.grid.focused];
    if (focused) this.panel.show(focused);
    this.#countersFrom(answer);
  }

  // While something is selected, asked for or on its way, the list stays as it is.
  #isBusy() {
    return this.isTurning || this.grid.selected.size > 0 || this.grid.rows.some((cells) => cells.waiting)
      || document.querySelector("dialog[open]:not(#zoom)") !== null;
  }

  async #learn() {
    if (!this.facts.learns) {
      announce("This review cannot learn: the run kept no features");
      return;
    }
    try {
      const answer = await this.backend.learn(this.#inFocus());
      this.learning.take(answer.learning, this.#isBusy());
    } catch (error) {
      showBanner(error.message);
    }
  }

  #countersFrom({ version, counter, learning }) {
    this.version = version;
    if (learning?.isRunning) this.learning.take(learning, true);
    if (counter) showCounters(this.facts, counter);
  }

  async #poll() {
    if (document.hidden) return;
    const rows = this.grid.rows.map((cells) => cells.row);
    const since = this.version;
    try {
      const answer = await this.backend.states(rows, since, this.#inFocus());
      // A decision made meanwhile knows better than this answer.
      if (answer.version !== since && this.version === since) this.#take(answer);
      this.learning.take(answer.learning, this.#isBusy());
      if (this.isSilent) showBanner("");
      this.isSilent = false;
    } catch (error) {
      showBanner(error.message);
      this.isSilent = true;
    }
  }

  openFilter(text) {
    this.filters.set(Object.fromEntries(new URLSearchParams(text)));
    this.show("review");
    return this.load({ find: "undecided" });
  }

  #writeAddress() {
    writeAddress(this.view, this.filters.query(), this.page.offset);
  }
}
