// What is wider than the page scrolls in a box of its own. Where something is cut off, the box fades
// (course.css), Tab stops at it and a screen reader hears its name; elsewhere it is no stop at all.

function nameOf(box) {
  const figure = box.closest("figure")?.querySelector("figcaption strong");
  if (figure) return `${figure.textContent} Scrolls sideways.`;
  if (box.querySelector("img")) return "Picture. Scrolls sideways.";
  if (box.matches(".math")) return "Formula. Scrolls sideways.";
  const heads = [...box.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
  return `Table: ${heads.filter(Boolean).slice(0, 4).join(", ")}. Scrolls sideways.`;
}

function look(box) {
  const hidden = box.scrollWidth - box.clientWidth;
  box.classList.toggle("cut-left", box.scrollLeft > 1);
  box.classList.toggle("cut-right", hidden - box.scrollLeft > 1);
  if (box.matches("pre")) return; // Tab stops there already: the theme sees to it
  if (hidden > 1) {
    box.tabIndex = 0;
    box.setAttribute("role", box.matches(".math") ? "group" : "region");
    box.setAttribute("aria-label", nameOf(box));
  } else {
    for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) look(target.closest(".course-scroll"));
  });
  for (const box of document.querySelectorAll(".bd-article pre, .bd-article div.math")) {
    box.classList.add("course-scroll");
  }
  for (const box of document.querySelectorAll(".course-scroll")) {
    sizes.observe(box);
    for (const part of box.children) sizes.observe(part);
    box.addEventListener("scroll", () => look(box), { passive: true });
  }
});
