// Pages, pictures and decisions from the server that also serves this page.

const SILENT = "The review's server does not answer. Start `labelclean review` again and open the "
  + "address that it prints; all that was stored is kept.";

export class ServerBackend {
  constructor(facts) {
    this.facts = facts;
    this.waiting = Promise.resolve();
  }

  // where: {offset} or {find}: a row's number, or "undecided" for the first such row
  page(query, size, where) {
    return this.#ask(`/api/rows?${new URLSearchParams({ ...query, size, ...where })}`);
  }

  async similar(cells) {
    return (await this.#ask(`/api/row/${cells.row}`)).similar;
  }

  // focus: the row that is looked at, null if there is none
  states(rows, since, focus) {
    const where = focus === null ? {} : { focus };
    return this.#ask(`/api/states?${new URLSearchParams({ rows: rows.join(","), since, ...where })}`);
  }

  decide(rows, action, label, focus) {
    return this.#send("/api/decisions", { rows, action, focus, ...(label === null ? {} : { label }) });
  }

  learn(focus) {
    return this.#send("/api/learn", { focus });
  }

  undo() {
    return this.#send("/api/undo", {});
  }

  // What is left when a list is at its end.
  ahead(query) {
    return this.#ask(`/api/ahead?${new URLSearchParams(query)}`);
  }

  // The undecided rows with the same two labels that may be accepted at that precision.
  pair(cells, precision) {
    return this.#ask(`/api/pair?${new URLSearchParams({ row: cells.row, precision })}`);
  }

  // side: px of the longer side, one of facts.sides, or 0 for all its pixels
  picture(row, side) {
    return `/image/${row}?side=${side}&v=${this.facts.digest}`;
  }

  // One after the other, in the order of the keys.
  #send(path, body) {
    const sent = this.waiting.then(() =>
      this.#ask(path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    );
    this.waiting = sent.catch(() => {});
    return sent;
  }

  async #ask(path, options = {}) {
    let answer;
    try {
      answer = await fetch(path, { cache: "no-store", ...options });
    } catch {
      throw new Error(SILENT);
    }
    if (answer.ok) return answer.json();
    if (answer.status === 403) throw new Error(SILENT);
    const text = await answer.text();
    let reason = text;
    try {
      reason = JSON.parse(text).error;
    } catch {
      // Not ours: the text as it is.
    }
    throw new Error(reason);
  }
}
