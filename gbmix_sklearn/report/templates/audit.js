"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  const status = document.getElementById("sorted");
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const compare = (a, b) => {
    const difference = Number(a) - Number(b);
    return Number.isNaN(difference) ? a.localeCompare(b, undefined, { numeric: true }) : difference;
  };
  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => {
      const down = header.getAttribute("aria-sort") === "ascending";
      const rows = [...table.tBodies[0].rows];
      const missing = (row) => value(row, column) === "";
      rows.sort((first, second) => {
        if (missing(first) || missing(second)) return missing(first) - missing(second);
        const order = compare(value(first, column), value(second, column));
        return down ? -order : order;
      });
      for (const other of headers) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      table.tBodies[0].append(...rows);
      const direction = down ? "descending" : "ascending";
      status.textContent = `Sorted by ${header.textContent.trim()}, ${direction}.`;
    });
  });
}
