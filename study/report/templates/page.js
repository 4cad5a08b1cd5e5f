"use strict";
(() => {
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

  // Tables: the first press of a heading sorts best first, the next turns the order round. Empty values stay last.
  for (const table of all("table.sortable")) {
    const body = table.tBodies[0], said = table.parentElement.querySelector("[role=status]");
    all(".sort", table).forEach((button) => {
      const head = button.closest("th");
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        all("th[aria-sort]", table).forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const keyed = [...body.rows].map((row, index) => {
          const text = row.cells[head.cellIndex]?.dataset.sort ?? "";
          return { row, index, text, number: text === "" ? NaN : Number(text) };
        });
        const words = keyed.some((one) => one.text !== "" && Number.isNaN(one.number));
        keyed.sort((one, two) => {
          if ((one.text === "") !== (two.text === "")) return one.text === "" ? 1 : -1;
          const order = words ? one.text.localeCompare(two.text, "en", { numeric: true }) : one.number - two.number;
          return (down ? -1 : 1) * (order || 0) || one.index - two.index;
        });
        body.append(...keyed.map((one) => one.row));
        if (said) said.textContent = `Sorted by ${button.textContent.trim()}${down ? ", reversed" : ""}`;
      });
    });
  }

  // The arms' key: pressing names dims all others in every figure.
  const buttons = all(".key button"), lit = new Set();
  const light = (set) => all("figure svg").forEach((svg) => {
    svg.classList.toggle("dim", set.size > 0);
    all("[data-arm]", svg).forEach((part) => part.classList.toggle("lit", set.has(part.dataset.arm)));
  });
  for (const button of buttons) {
    const arm = button.dataset.arm;
    button.addEventListener("click", () => {
      lit.has(arm) ? lit.delete(arm) : lit.add(arm);
      button.setAttribute("aria-pressed", lit.has(arm));
      light(lit);
    });
    button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && light(new Set([...lit, arm])));
    button.addEventListener("pointerleave", () => light(lit));
  }

  // A link to a folded section opens it.
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let box = target; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();

  // The slider over two columns of one row of pictures; the pictures are those of the table below.
  const box = document.querySelector(".compare");
  if (box) {
    const rows = all(".pictures tbody tr"), view = box.querySelector(".view"), at = box.querySelector("input[type=range]");
    const [left, right, row] = ["left", "right", "row"].map((name) => box.querySelector(`[name=${name}]`));
    const show = () => {
      for (const [select, image, tag] of [[left, ".over", ".l"], [right, ".under", ".r"]]) {
        const found = rows[row.value].cells[select.value].querySelector("img")?.src, picture = box.querySelector(image);
        if (found) picture.src = found;
        picture.style.visibility = found ? "visible" : "hidden";
        const name = select.selectedOptions[0].textContent;
        picture.alt = `${row.selectedOptions[0].textContent}: ${name}`;
        box.querySelector(tag).textContent = name;
      }
    };
    const move = () => {
      view.style.setProperty("--at", `${at.value}%`);
      at.setAttribute("aria-valuetext", `${at.value} % ${left.selectedOptions[0].textContent}`);
    };
    const drag = (event) => {
      const area = view.getBoundingClientRect();
      at.value = Math.round(((event.clientX - area.left) / area.width) * 100);
      move();
    };
    view.addEventListener("pointerdown", (event) => { view.setPointerCapture(event.pointerId); drag(event); });
    view.addEventListener("pointermove", (event) => view.hasPointerCapture(event.pointerId) && drag(event));
    at.addEventListener("input", move);
    [left, right, row].forEach((select) => select.addEventListener("change", () => { show(); move(); }));
    all(".pictures img").forEach((image) => image.addEventListener("click", () => {
      const cell = image.closest("td");
      row.value = rows.indexOf(cell.parentElement);
      right.value = cell.cellIndex;
      show();
      move();
      box.scrollIntoView({ block: "nearest" });
    }));
    box.hidden = false;
    show();
    move();
  }

  // On paper nothing can be opened, so everything is.
  let opened = [];
  addEventListener("beforeprint", () => { opened = all("details:not([open])"); opened.forEach((one) => { one.open = true; }); });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
})();
