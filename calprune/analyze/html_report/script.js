"use strict";
// Tables sort by a click on a heading and filter by words. Nothing here asks for anything else.
(() => {
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const turn = { none: "ascending", ascending: "descending", descending: "none" };

  const key = (row, column, kind) => {
    const cell = row.cells[column];
    if (kind === "text") return cell.textContent;
    return "v" in cell.dataset ? Number(cell.dataset.v) : NaN; // NaN: missing
  };

  const compare = (a, b, sign, kind) => {
    if (kind === "text") return sign * collator.compare(a, b);
    const gone = [Number.isNaN(a), Number.isNaN(b)];
    if (gone[0] || gone[1]) return gone[0] - gone[1]; // missing last, either way up
    return a === b ? 0 : sign * (a < b ? -1 : 1);
  };

  const sort = (table, rows, heading, direction) => {
    const column = heading.cellIndex, kind = heading.dataset.kind;
    const sign = direction === "descending" ? -1 : 1;
    const order = direction === "none" ? rows : rows
      .map((row) => [key(row, column, kind), row])
      .sort((a, b) => compare(a[0], b[0], sign, kind))
      .map((pair) => pair[1]);
    for (const other of table.tHead.rows[0].cells) {
      if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    }
    heading.setAttribute("aria-sort", direction);
    table.tBodies[0].append(...order);
  };

  const headings = (table, rows) => {
    for (const heading of table.tHead.rows[0].cells) {
      const title = heading.querySelector(".title");
      if (!title.textContent) continue;
      const button = document.createElement("button");
      button.type = "button";
      title.before(button);
      button.append(title);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        sort(table, rows, heading, turn[heading.getAttribute("aria-sort")]);
      });
    }
  };

  const tools = (table, rows) => {
    const bar = document.createElement("div"), label = document.createElement("label");
    const input = document.createElement("input"), count = document.createElement("span");
    bar.className = "tools";
    input.type = "search";
    input.placeholder = "Filter rows";
    input.setAttribute("aria-label", "Filter rows of " + table.caption.textContent);
    count.setAttribute("role", "status");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        left += !row.hidden;
      }
      count.textContent = words.length ? `${left} of ${rows.length} rows` : "";
    });
    label.append(input);
    bar.append(label, count);
    table.closest(".scroll").before(bar);
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 2) continue;
    headings(table, rows);
    if (rows.length > 4) tools(table, rows);
  }

  // A table that is wider than its box says so; its shadow alone is easily missed.
  const hint = (box) => {
    const wide = box.scrollWidth > box.clientWidth + 1, caption = box.querySelector("caption");
    const there = caption.querySelector(".sideways");
    if (wide === Boolean(there)) return;
    if (there) { there.remove(); return; }
    const said = document.createElement("span");
    said.className = "sideways";
    said.setAttribute("aria-hidden", "true"); // a reader of cells needs no scrolling
    said.textContent = "\u2194 scroll sideways for more columns";
    caption.append(said);
  };
  const sizes = new ResizeObserver((seen) => seen.forEach((one) => hint(one.target)));
  for (const box of document.querySelectorAll(".scroll")) if (box.querySelector("caption")) sizes.observe(box);
})();
