// Filters and opens the list of turns. The page is complete without it.
"use strict";
(() => {
  const turns = [...document.querySelectorAll("#turns details.turn")];
  const selects = [...document.querySelectorAll("#filters select")];
  const count = document.querySelector("#shown");
  const show = () => {
    const wanted = selects.filter((select) => select.value !== "");
    for (const turn of turns)
      turn.hidden = !wanted.every((select) => turn.dataset[select.name] === select.value);
    count.textContent = `${turns.filter((turn) => !turn.hidden).length} of ${turns.length} turns`;
  };
  for (const select of selects) select.addEventListener("change", show);
  document.querySelector("#open-all")?.addEventListener("click", () => {
    const shown = turns.filter((turn) => !turn.hidden);
    const open = !shown.every((turn) => turn.open);
    for (const turn of shown) turn.open = open;
  });
  document.querySelector("#filters")?.removeAttribute("hidden");
  if (count) show();
})();
