"use strict";
const box = document.getElementById("filter");
const said = document.getElementById("filter-said");
const rows = [...document.querySelectorAll(".index tbody tr")];
const parts = [...document.querySelectorAll("[data-part]")];
document.querySelector(".filter").hidden = false;
function apply() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  for (const part of parts) {
    part.hidden = !part.querySelector("tbody tr:not([hidden])");
  }
  said.textContent = words.length ? `${shown} of ${rows.length} tables` : "";
}
box.addEventListener("input", apply);
apply();
