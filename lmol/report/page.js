"use strict";
// A click on a column's title sorts by it: up, then down. Dashes stand last either way.
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement;
    const table = heading.closest("table");
    const place = heading.cellIndex;
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const valueOf = (row) => row.cells[place].dataset.value;
    const absent = (value) => value === "" || value === "–";
    const compare = (one, two) => {
      if (absent(one) || absent(two)) return absent(one) - absent(two);
      const difference = Number(one) - Number(two);
      const order = Number.isNaN(difference) ? one.localeCompare(two) : difference;
      return up ? order : -order;
    };
    body.append(...[...body.rows].sort((a, b) => compare(valueOf(a), valueOf(b))));
  });
}
// What is folded is printed too.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
