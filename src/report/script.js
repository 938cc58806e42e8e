"use strict";
// Sorts tables by a heading, and shows the rows that hold what is typed. Without it everything is there, in its first order.
(() => {
  const value = (row, place) => row.cells[place].innerText.trim();
  const number = text => /^[-+]?[\d,]+(\.\d+)?( [A-Z]{3})?$/.test(text) ? Number(text.replace(/[^\d.+-]/g, "")) : null;
  const compare = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (x !== null && y !== null) return x - y;
    if (x !== null || y !== null) return x === null ? -1 : 1;
    return a.localeCompare(b);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const [place, heading] of [...table.tHead.rows[0].cells].entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      heading.replaceChildren(button);
      button.addEventListener("click", () => {
        const isUp = heading.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", isUp ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].sort((a, b) => compare(value(a, place), value(b, place)));
        table.tBodies[0].append(...(isUp ? rows.reverse() : rows));
      });
    }
  }
  const [filter, side, shown] = ["filter", "side", "shown"].map(id => document.getElementById(id));
  if (filter) {
    const apply = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const check of document.querySelectorAll("details.check")) {
        let some = false;
        for (const row of check.querySelectorAll("tbody tr")) {
          const text = row.textContent.toLowerCase();
          const fits = words.every(word => text.includes(word)) && (!side.value || row.dataset.side === side.value);
          row.hidden = !fits;
          some ||= fits;
          count += fits;
        }
        check.hidden = !some;
        check.open = some && (words.length > 0 || side.value !== "");
      }
      shown.textContent = words.length || side.value ? ` ${count} ${count === 1 ? "row" : "rows"}` : "";
    };
    filter.addEventListener("input", apply);
    side.addEventListener("change", apply);
  }
  const open = () => {
    const target = location.hash.startsWith("#check-") && document.getElementById(location.hash.slice(1));
    if (target) target.open = true;
  };
  window.addEventListener("hashchange", open);
  open();
})();
