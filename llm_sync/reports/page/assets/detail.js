// The whole texts of one input line, in a dialog.

const DATA = JSON.parse(document.getElementById("data").textContent);
const [LABEL, INPUT, EXPECTED, DISAGREEMENT, CELLS] = [0, 1, 2, 3, 4];
const [STATUS, TEXT, PASSED, SCORE, ERROR, MESSAGE, LATENCY, COST, TOKENS_IN, TOKENS_OUT, ATTEMPTS, FINISH] = Array(12).keys();
const [ANSWERED, CUT, BLOCKED, FAILED] = [0, 1, 2, 3];

const hasAnswer = (cell) => cell !== null && cell[STATUS] <= CUT;
const shownText = (cell) => (hasAnswer(cell) ? cell[TEXT] : cell[MESSAGE]) ?? "";

// The text that an item's answers are compared with, or null.
function referenceText(item, reference) {
  if (reference === "") return null;
  if (reference === "expected") return item[EXPECTED];
  const cell = item[CELLS][Number(reference)];
  return hasAnswer(cell) ? cell[TEXT] ?? "" : null;
}

function badges(cell) {
  const line = element("span", { class: "badges" });
  const add = (text, kind) => line.append(element("span", { class: "badge " + kind }, text), " ");
  if (cell[STATUS] !== ANSWERED) add(DATA.statuses[cell[STATUS]], DATA.statuses[cell[STATUS]]);
  if (cell[PASSED] === true) add("passed", "passed");
  if (cell[PASSED] === false) add("not passed", "wrong");
  if (cell[SCORE] !== null && cell[SCORE] !== 0 && cell[SCORE] !== 1) add("score " + cell[SCORE].toFixed(2), "plain");
  if (cell[ATTEMPTS] > 1) add(cell[ATTEMPTS] + " attempts", "plain");
  if (cell[ERROR]) add(labelOf(cell[ERROR]), "plain");
  return line;
}

function facts(cell) {
  const parts = [];
  if (cell[LATENCY] !== null) parts.push((cell[LATENCY] / 1000).toPrecision(3) + " s");
  if (cell[COST] !== null) parts.push("$" + Number(cell[COST].toPrecision(3)));
  if (cell[TOKENS_IN] !== null || cell[TOKENS_OUT] !== null) {
    parts.push((cell[TOKENS_IN] ?? "?") + " + " + (cell[TOKENS_OUT] ?? "?") + " tokens");
  }
  if (cell[FINISH]) parts.push("finish: " + labelOf(cell[FINISH]));
  return element("p", { class: "note" }, parts.join(" · "));
}

const detail = {
  dialog: document.getElementById("detail"),
  order: [], // places of items, as the list shows them
  place: 0,
  reference: () => "",

  open(place) {
    this.place = place;
    this.render();
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
  },

  step(by) {
    const at = this.order.indexOf(this.place);
    const next = this.order[Math.max(0, Math.min(this.order.length - 1, at + by))];
    if (next !== undefined) this.open(next);
  },

  render() {
    const item = DATA.items[this.place];
    const button = (name, action) => {
      const node = element("button", { type: "button" }, name);
      node.addEventListener("click", action);
      return node;
    };
    const head = element("div", { class: "detail-head" },
      appendVisible(element("h2", { id: "detail-title", dir: "auto" }), item[LABEL]),
      button("Previous", () => this.step(-1)), button("Next", () => this.step(1)), button("Close", () => this.dialog.close()));
    const given = element("div", { class: "given" });
    for (const [name, text] of Object.entries(item[INPUT])) {
      if (text !== null) given.append(appendVisible(element("h3"), name), textBlock(text, null, { class: "text" }));
    }
    if (item[EXPECTED] !== null) given.append(element("h3", {}, "Expected"), textBlock(item[EXPECTED], null, { class: "text" }));
    const columns = element("div", { class: "columns" });
    item[CELLS].forEach((cell, column) => columns.append(this.column(item, cell, column)));
    const focused = this.dialog.contains(document.activeElement) ? document.activeElement.textContent : null;
    this.dialog.replaceChildren(head, given, columns);
    for (const node of head.querySelectorAll("button")) if (node.textContent === focused) node.focus();
  },

  column(item, cell, column) {
    const section = element("section", {}, appendVisible(element("h3"), DATA.columns[column]));
    if (cell === null) return section.append(element("p", { class: "note" }, "no record")), section;
    const chosen = this.reference();
    const reference = String(column) === chosen || !hasAnswer(cell) ? null : referenceText(item, chosen);
    section.append(badges(cell), textBlock(shownText(cell), reference, { class: "text" }));
    if (!hasAnswer(cell) && cell[TEXT]) section.append(element("h4", {}, "What came"), textBlock(cell[TEXT], null, { class: "text" }));
    section.append(facts(cell));
    return section;
  },
};
