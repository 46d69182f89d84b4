// The list of answers: filters, order, and only those rows in the page that can be seen.

const MAX_PREVIEW = 300;
const MAX_PRINTED = 100;
const OVERSCAN = 4;

const form = document.getElementById("filters");
const listNode = document.getElementById("list");
const choices = () => Object.fromEntries(new FormData(form));
detail.reference = () => choices().reference;

const searchable = []; // lower-case texts of the items, made at the first search
function searchText(place) {
  if (searchable[place] === undefined) {
    const item = DATA.items[place];
    const texts = [item[LABEL], ...Object.values(item[INPUT]), item[EXPECTED]];
    for (const cell of item[CELLS]) if (cell) texts.push(cell[TEXT], cell[ERROR], cell[MESSAGE]);
    searchable[place] = texts.filter(Boolean).join("\u0000").toLowerCase();
  }
  return searchable[place];
}

const CONDITIONS = {
  answered: (cell) => cell[STATUS] === ANSWERED,
  cut: (cell) => cell[STATUS] === CUT,
  blocked: (cell) => cell[STATUS] === BLOCKED,
  failed: (cell) => cell[STATUS] === FAILED,
  wrong: (cell) => cell[PASSED] === false,
  retried: (cell) => cell[ATTEMPTS] > 1,
};

function matches(place, { show, model, text }) {
  const item = DATA.items[place];
  const cells = (model === "" ? item[CELLS] : [item[CELLS][Number(model)]]).filter((cell) => cell !== null);
  if (show === "disagree" && !(item[DISAGREEMENT] > 0 && (model === "" || differsFromOthers(item, Number(model))))) return false;
  if (show in CONDITIONS && !cells.some(CONDITIONS[show])) return false;
  if (show === "all" && cells.length === 0) return false;
  return text === "" || searchText(place).includes(text.toLowerCase());
}

function differsFromOthers(item, column) {
  const own = item[CELLS][column];
  if (!hasAnswer(own)) return false;
  const normal = (cell) => (cell[TEXT] ?? "").toLowerCase().trim().replace(/\s+/g, " ");
  return item[CELLS].some((cell) => hasAnswer(cell) && (normal(cell) !== normal(own) || cell[SCORE] !== own[SCORE]));
}

// The largest (or smallest) of an item's values, of one model or of any; those without one come last.
function extreme(place, key, model, pick, missing) {
  const cells = model === "" ? DATA.items[place][CELLS] : [DATA.items[place][CELLS][Number(model)]];
  const values = cells.filter((cell) => cell !== null && cell[key] !== null).map((cell) => cell[key]);
  return values.length ? pick(...values) : missing;
}

const ORDERS = {
  disagreement: (place) => -DATA.items[place][DISAGREEMENT],
  score: (place, model) => extreme(place, SCORE, model, Math.min, Infinity),
  latency: (place, model) => -extreme(place, LATENCY, model, Math.max, -Infinity),
  cost: (place, model) => -extreme(place, COST, model, Math.max, -Infinity),
};

function chosenPlaces(chosen) {
  const places = DATA.items.map((_, place) => place).filter((place) => matches(place, chosen));
  const order = ORDERS[chosen.order];
  if (order === undefined) return places;
  const keys = new Map(places.map((place) => [place, order(place, chosen.model)]));
  return places.sort((a, b) => (keys.get(a) === keys.get(b) ? a - b : keys.get(a) < keys.get(b) ? -1 : 1));
}

const list = {
  rows: new Map(), // rows in the page, by their number in the list
  height: 1,

  start() {
    const head = element("div", { role: "row", class: "row head", "aria-rowindex": 1 }, element("div", { role: "columnheader" }, "Input"));
    for (const name of DATA.columns) head.append(appendVisible(element("div", { role: "columnheader" }), name));
    this.body = element("div", { role: "rowgroup", class: "rows" });
    listNode.append(element("div", { role: "rowgroup", class: "heads" }, head), this.body);
    listNode.style.setProperty("--columns", DATA.columns.length);
    listNode.addEventListener("scroll", () => this.draw());
    listNode.addEventListener("keydown", (event) => this.key(event));
    listNode.addEventListener("click", (event) => {
      const row = event.target.closest(".row[data-place]");
      if (row && (event.target.closest("button") || getSelection().isCollapsed)) detail.open(Number(row.dataset.place));
    });
    new ResizeObserver(() => this.measure()).observe(listNode);
    this.update();
  },

  update() {
    const chosen = choices();
    detail.order = chosenPlaces(chosen);
    this.reference = chosen.reference;
    const some = detail.order.length, all = DATA.items.length;
    document.getElementById("shown").textContent = `${some.toLocaleString("en")} of ${all.toLocaleString("en")} input lines`;
    listNode.setAttribute("aria-rowcount", some + 1);
    this.clear();
    listNode.scrollTop = 0;
    this.measure();
  },

  clear() {
    this.rows.clear();
    this.body.replaceChildren();
  },

  // All rows have the height that the style gives the first.
  measure() {
    if (this.isPrinting) return;
    this.draw();
    const first = this.body.firstElementChild;
    const height = first ? first.offsetHeight : 1;
    if (height !== this.height) {
      this.height = height;
      this.draw();
    }
    for (const [number, row] of this.rows) row.style.top = number * this.height + "px";
    this.body.style.height = detail.order.length * this.height + "px";
  },

  draw() {
    if (this.isPrinting) return;
    const first = Math.max(0, Math.floor(listNode.scrollTop / this.height) - OVERSCAN);
    const seen = this.height > 1 ? Math.ceil(listNode.clientHeight / this.height) : 1;
    const last = Math.min(detail.order.length, first + seen + 2 * OVERSCAN);
    for (const [number, row] of this.rows) {
      if ((number < first || number >= last) && !row.contains(document.activeElement)) {
        row.remove();
        this.rows.delete(number);
      }
    }
    for (let number = first; number < last; number++) if (!this.rows.has(number)) this.insert(number);
  },

  insert(number) {
    const row = this.row(number);
    row.style.top = number * this.height + "px";
    const after = [...this.rows.keys()].filter((other) => other > number).sort((a, b) => a - b)[0];
    this.body.insertBefore(row, after === undefined ? null : this.rows.get(after));
    this.rows.set(number, row);
  },

  row(number) {
    const place = detail.order[number], item = DATA.items[place];
    const open = appendVisible(element("button", { type: "button", class: "link" }), item[LABEL]);
    const given = Object.values(item[INPUT]).filter((text) => text !== null && text !== item[EXPECTED]).join(" · ");
    const head = element("div", { role: "rowheader", class: "cell" }, open, textBlock(given.slice(0, MAX_PREVIEW), null, { class: "preview" }));
    if (item[EXPECTED] !== null) head.append(element("div", { class: "expected" }, "expected: ", textBlock(item[EXPECTED].slice(0, 100), null)));
    const row = element("div", { role: "row", class: "row", "aria-rowindex": number + 2, "data-place": place }, head);
    const reference = referenceText(item, this.reference)?.slice(0, MAX_PREVIEW) ?? null;
    item[CELLS].forEach((cell, column) => row.append(this.cell(cell, column, reference)));
    return row;
  },

  cell(cell, column, reference) {
    const node = element("div", { role: "cell", class: "cell" });
    node.append(appendVisible(element("span", { class: "column-name" }), DATA.columns[column]));
    if (cell === null) return node.append(element("span", { class: "note" }, "no record")), node;
    const compared = String(column) === this.reference || !hasAnswer(cell) ? null : reference;
    node.append(badges(cell), textBlock(shownText(cell).slice(0, MAX_PREVIEW), compared, { class: "preview" }));
    return node;
  },

  key(event) {
    const row = document.activeElement.closest(".row[data-place]");
    if (row === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const number = Number(row.getAttribute("aria-rowindex")) - 2, end = detail.order.length - 1;
    const next = { ArrowDown: number + 1, ArrowUp: number - 1, Home: 0, End: end }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.focus(Math.max(0, Math.min(end, next)));
  },

  focus(number) {
    const top = number * this.height, room = listNode.clientHeight - this.height - this.body.offsetTop;
    if (top < listNode.scrollTop) listNode.scrollTop = top;
    else if (top > listNode.scrollTop + room) listNode.scrollTop = top - room;
    this.draw();
    this.rows.get(number)?.querySelector("button").focus({ preventScroll: true });
    this.draw(); // removes the row that had the focus, if it is out of sight
  },

  print() {
    this.isPrinting = true;
    this.clear();
    for (let number = 0; number < Math.min(MAX_PRINTED, detail.order.length); number++) this.body.append(this.row(number));
    if (detail.order.length > MAX_PRINTED) this.body.append(element("p", {}, `The first ${MAX_PRINTED} are printed.`));
  },

  afterPrint() {
    this.isPrinting = false;
    this.clear();
    this.measure();
  },
};

let waiting;
form.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => list.update(), 120);
});
form.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-item]");
  if (button) detail.open(Number(button.dataset.item));
});
addEventListener("beforeprint", () => list.print());
addEventListener("afterprint", () => list.afterPrint());
list.start();
