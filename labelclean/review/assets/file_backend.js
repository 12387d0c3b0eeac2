// The same pages and decisions without a server: all is in this file and the browser's storage.

const HEADER = "image,action,label,before,reviewer,at\n";
const FORMULA = /^ *[=+\-@\t\r\n＝＋－＠]|^'/u;

export class FileBackend {
  constructor(facts) {
    this.facts = facts;
    this.key = `labelclean.${facts.digest}`;
    this.version = 0;
    this.batches = [];
    this.current = new Map();
    this.byRow = new Map(facts.rows.map((cells) => [cells.row, cells]));
    this.read();
    // Another tab with this file decided something.
    addEventListener("storage", (event) => {
      if (event.key === this.key) this.read();
    });
  }

  read() {
    let kept = null;
    try {
      kept = JSON.parse(localStorage.getItem(this.key) ?? "null");
    } catch {
      // Storage is switched off or holds something else: begin anew.
    }
    this.batches = Array.isArray(kept) ? kept.filter((batch) => batch.rows?.every((row) => this.byRow.has(row))) : [];
    this.#replay();
  }

  #replay() {
    this.current = new Map();
    for (const batch of this.batches)
      for (const row of batch.rows) this.current.set(row, this.#decision(row, batch));
    this.version += 1;
  }

  #keep() {
    try {
      localStorage.setItem(this.key, JSON.stringify(this.batches));
    } catch {
      throw new Error("this browser keeps nothing for this file; download the decisions before you close it");
    }
  }

  #decision(row, { action, label, reviewer, at }) {
    const { given, suggested } = this.byRow.get(row);
    const code = action === "other" ? label : action === "accept" ? suggested : action === "keep" ? given : -1;
    // Whatever key was pressed, what it says of the label is the same.
    let meant = action;
    if (["accept", "other"].includes(action) && code === given) meant = "keep";
    else if (action === "other" && code === suggested) meant = "accept";
    return { action: meant, label: code, name: code < 0 ? null : this.facts.labels[code], reviewer, at };
  }

  async page(query, size, where) {
    const found = this.facts.rows.filter((cells) => this.#fits(cells, query));
    let offset = where.offset ?? 0;
    if (where.find !== undefined) {
      const at = found.findIndex((cells) =>
        where.find === "undecided" ? !this.current.has(cells.row) : cells.row === Number(where.find));
      offset = at < 0 ? 0 : Math.floor(at / size) * size;
    }
    const rows = found.slice(offset, offset + size)
      .map((cells) => ({ ...cells, decision: this.current.get(cells.row) ?? null }));
    return { ...this.#state(), total: found.length, offset, rows };
  }

  #fits(cells, query) {
    const decision = this.current.get(cells.row);
    const is = (name, value) => query[name] === undefined || Number(query[name]) === value;
    return is("given", cells.given) && is("suggested", cells.suggested) && is("status", cells.status)
      && (query.label === undefined || [cells.given, cells.suggested].includes(Number(query.label)))
      && (query.flag === undefined || cells.flags.includes(Number(query.flag)))
      && (query.verdict === undefined || cells.isIssue === (query.verdict === "issue"))
      && (query.low === undefined || cells.score >= Number(query.low))
      && (query.high === undefined || cells.score <= Number(query.high))
      && (query.search === undefined || cells.image.toLowerCase().includes(query.search.toLowerCase()))
      && (query.decided === undefined
        || (query.decided === "yes" ? Boolean(decision) : query.decided === "no" ? !decision : decision?.action === query.decided));
  }

  async similar(cells) {
    return this.byRow.get(cells.row).similar;
  }

  async states(rows, since) {
    return since === this.version ? { version: this.version } : this.#decided(rows);
  }

  async decide(rows, action, label) {
    if (["accept", "keep"].includes(action)) {
      const field = action === "accept" ? "suggested" : "given";
      const without = rows.find((row) => this.byRow.get(row)[field] < 0);
      if (without !== undefined) throw new Error(`${this.byRow.get(without).image} has no label to ${action}`);
    }
    const at = `${new Date().toISOString().slice(0, 19)}Z`;
    this.batches.push({ rows, action, label, reviewer: this.reviewer, at });
    this.#replay();
    this.#keep();
    return this.#decided(rows);
  }

  async undo() {
    const batch = this.batches.pop();
    this.#replay();
    this.#keep();
    return this.#decided(batch ? batch.rows : []);
  }

  #decided(rows) {
    const decisions = Object.fromEntries(rows.map((row) => [row, this.current.get(row) ?? null]));
    return { ...this.#state(), decisions, changed: rows };
  }

  #state() {
    const isSettled = (cells) => {
      const action = this.current.get(cells.row)?.action;
      return action !== undefined && action !== "unsure";
    };
    const judged = this.facts.rows.filter((cells) => isSettled(cells) && cells.isIssue);
    return {
      version: this.version,
      counter: {
        decided: this.current.size,
        remaining: this.facts.rows.filter((cells) => !isSettled(cells)).reduce((sum, cells) => sum + (cells.chance ?? 0), 0),
        judged: judged.length,
        wrong: judged.filter((cells) => this.current.get(cells.row).action !== "keep").length,
      },
    };
  }

  count(query) {
    return this.facts.rows.filter((cells) => this.#fits(cells, query)).length;
  }

  async ahead(query) {
    const isListed = (cells) => this.#fits(cells, { ...query, decided: undefined });
    const open = this.facts.rows.filter((cells) => !this.current.has(cells.row));
    const beyond = open.filter((cells) => !isListed(cells));
    const wrong = beyond.reduce((sum, cells) => sum + (cells.chance ?? 0), 0);
    return {
      listed: this.count({ ...query, decided: undefined }),
      undecided: open.filter(isListed).length,
      batches: beyond.length ? [{ images: beyond.length, wrong }] : [],
    };
  }

  async pair({ given, suggested }, precision) {
    const open = this.facts.rows
      .filter((cells) => cells.given === given && cells.suggested === suggested && cells.sure !== null && !this.current.has(cells.row))
      .sort((one, other) => other.sure - one.sure);
    let sum = 0;
    let count = 0;
    open.forEach(({ sure }, k) => {
      sum += sure;
      if (sum / (k + 1) >= precision) count = k + 1;
    });
    const taken = open.slice(0, count);
    return {
      total: open.length,
      rows: taken.map((cells) => cells.row),
      names: taken.map((cells) => cells.image),
      precision: count ? taken.reduce((all, { sure }) => all + sure, 0) / count : 0,
    };
  }

  // The file holds one size of each image.
  picture(row) {
    return this.facts.pictures[row] ?? this.facts.small[row] ?? "data:,";
  }

  get reviewer() {
    try {
      return localStorage.getItem("labelclean.reviewer") ?? "";
    } catch {
      return "";
    }
  }

  set reviewer(name) {
    try {
      localStorage.setItem("labelclean.reviewer", name);
    } catch {
      // Storage is switched off: the decisions are anonymous.
    }
  }

  // Bytes, not text: a name that is no UTF-8 must come out as it went in.
  csv() {
    const encoder = new TextEncoder();
    const parts = [encoder.encode(HEADER)];
    const cellOf = (code) => (code < 0 ? new Uint8Array() : fromBase64(this.facts.labelCells[code]));
    for (const [row, decision] of this.current) {
      const cells = this.byRow.get(row);
      parts.push(
        fromBase64(cells.cell), encoder.encode(`,${decision.action},`), cellOf(decision.label),
        encoder.encode(","), cellOf(cells.given),
        encoder.encode(`,${csvCell(decision.reviewer)},${decision.at}\n`),
      );
    }
    return new Blob(parts, { type: "text/csv" });
  }
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

function csvCell(text) {
  const harmless = FORMULA.test(text) ? `'${text}` : text;
  return `"${harmless.replaceAll('"', '""')}"`;
}
