// A picture of a character whose strokes can be erased and put back, by click, touch or keyboard.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function render({ model, el }) {
  const side = model.get("side");
  const svg = element("svg", { viewBox: `0 0 ${side} ${side}`, role: "group" });
  svg.classList.add("hccr-stroke-picture");
  const image = element("image", { width: side, height: side, role: "img" });
  const strokes = element("g", {});
  svg.append(image, strokes);
  el.append(svg);

  function toggle(stroke) {
    const erased = new Set(model.get("erased"));
    if (!erased.delete(stroke)) erased.add(stroke);
    model.set("erased", [...erased].sort((a, b) => a - b));
    model.save_changes();
  }

  function drawPicture() {
    image.setAttribute("href", model.get("picture"));
    image.setAttribute("aria-label", model.get("description"));
  }

  function drawStrokes() {
    const outlines = model.get("outlines");
    svg.setAttribute("aria-label", `${outlines.length} strokes: each can be erased`);
    strokes.replaceChildren(
      ...outlines.map((outline, i) => {
        const path = element("path", { d: outline, role: "button", tabindex: 0 });
        path.setAttribute("aria-label", `Stroke ${i + 1} of ${outlines.length}`);
        path.append(element("title", {}));
        path.addEventListener("click", () => toggle(i));
        path.addEventListener("keydown", (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault(); // the space bar would scroll the page
          event.stopPropagation(); // and Shift+Enter would run the cell
          toggle(i);
        });
        return path;
      }),
    );
    drawErased();
  }

  function drawErased() {
    const erased = new Set(model.get("erased"));
    [...strokes.children].forEach((path, i) => {
      path.setAttribute("aria-pressed", erased.has(i));
      path.firstChild.textContent =
        `Stroke ${i + 1}: ` + (erased.has(i) ? "put it back" : "erase it");
    });
  }

  // JupyterLab would take the arrow keys of the menus around the picture for steps between cells,
  // but not from what has the focus and says so.
  function keepKeys() {
    if (!el.isConnected) return requestAnimationFrame(keepKeys);
    el.closest(".hccr-keys")?.addEventListener("focusin", ({ target }) =>
      target.setAttribute("data-lm-suppress-shortcuts", "true"),
    );
  }

  model.on("change:picture change:description", drawPicture);
  model.on("change:outlines", drawStrokes);
  model.on("change:erased", drawErased);
  drawPicture();
  drawStrokes();
  keepKeys();
}

export default { render };
