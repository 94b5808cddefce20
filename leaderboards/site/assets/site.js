// Sorts and filters the tables of a page. Without it they are all there, in the order of the ranking.
"use strict";

const rowsOf = (body) => [...body.rows].filter((row) => !row.querySelector("[scope=rowgroup]"));

function key(row, column) {
  const cell = row.cells[column];
  return { number: "value" in cell.dataset ? Number(cell.dataset.value) : null, text: cell.textContent.trim() };
}

function compare(a, b, numeric, sign) {
  if (!numeric) return sign * a.text.localeCompare(b.text, "en", { numeric: true });
  if (a.number === null || b.number === null) return (a.number === null) - (b.number === null); // empty cells last
  return sign * (a.number - b.number);
}

function sort(table, heading, column) {
  const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  const numeric = heading.dataset.sort === "number";
  for (const body of table.tBodies) {
    // Within its block only: rows of two blocks must not be compared.
    const ordered = rowsOf(body).map((row) => [key(row, column), row]);
    ordered.sort(([a], [b]) => compare(a, b, numeric, sign));
    body.append(...ordered.map(([, row]) => row));
  }
}

function filter(table, words, told) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  let all = 0;
  for (const body of table.tBodies) {
    const rows = rowsOf(body);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    all += rows.length;
    body.hidden = rows.every((row) => row.hidden);
  }
  told.textContent = wanted.length ? `${shown} of ${all} rows` : "";
}

function filterBar(table) {
  const bar = document.createElement("p");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const told = document.createElement("output");
  bar.className = "filter";
  input.type = "search";
  label.append("Filter rows ", input);
  bar.append(label, told);
  input.addEventListener("input", () => filter(table, input.value, told));
  return bar;
}

for (const table of document.querySelectorAll("main table")) {
  const rows = [...table.tBodies].flatMap(rowsOf).length;
  if (rows < 2) continue;
  for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
    if (heading.dataset.sort === "none") continue; // numbers of several machines have no order
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(table, heading, column));
    heading.append(button);
  }
  if (rows > 15) table.parentElement.before(filterBar(table));
}
