// Every table of the book: in a frame that scrolls, sorted by a click on a column's name, filtered where it is long.
(() => {
  const LONG = 20; // rows from which a table has a filter
  const value = (cell) => {
    const number = parseFloat(cell.textContent.replace("−", "-").replace(/[\s,<≤](?=\d)/g, ""));
    return Number.isNaN(number) ? cell.textContent.trim().toLowerCase() : number;
  };
  const before = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b) : typeof a === "number" ? -1 : 1);

  function framed(element, label) {
    const frame = document.createElement("div");
    frame.className = "frame";
    element.replaceWith(frame);
    frame.append(element);
    const scrolls = () => {
      const wide = frame.scrollWidth > frame.clientWidth + 1;
      for (const [name, text] of [["tabindex", "0"], ["role", "region"], ["aria-label", label]])
        wide ? frame.setAttribute(name, text) : frame.removeAttribute(name);
      frame.classList.toggle("more", frame.scrollLeft + frame.clientWidth < frame.scrollWidth - 1);
    };
    frame.addEventListener("scroll", scrolls, { passive: true });
    new ResizeObserver(scrolls).observe(frame);
    return frame;
  }

  function sortable(table) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
        for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", order);
        const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
        rows.sort(([a], [b]) => (order === "ascending" ? before(a, b) : before(b, a)));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  function filtered(table, frame) {
    const input = document.createElement("input");
    Object.assign(input, { className: "filter", type: "search", placeholder: "filter rows" });
    input.setAttribute("aria-label", "filter the rows of this table");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/);
      for (const row of table.tBodies[0].rows)
        row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    });
    frame.before(input);
  }

  function begin() {
    for (const image of document.querySelectorAll(".bd-article .cell_output img"))
      framed(image, "figure, scrolls sideways");
    for (const table of document.querySelectorAll(".bd-article table")) {
      const frame = framed(table, "table, scrolls sideways");
      if (table.tHead?.rows.length !== 1 || !table.tBodies[0] || table.querySelector("td[colspan], td[rowspan]"))
        continue;
      if (table.tBodies[0].rows.length > 2) sortable(table);
      if (table.tBodies[0].rows.length > LONG) filtered(table, frame);
    }
  }
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", begin) : begin();
})();
