// The drawing area. Strokes are kept as points in units of its side, so that a drawing outlives
// every change of size: a rotated phone, a wider window, another zoom.

const PEN = 0.03;
const REACH = 0.05; // how near to a stroke the eraser must come

function distance([px, py], [x0, y0], [x1, y1]) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const along = ((px - x0) * dx + (py - y0) * dy) / (dx * dx + dy * dy || 1);
  const share = Math.min(Math.max(along, 0), 1);
  return Math.hypot(px - x0 - share * dx, py - y0 - share * dy);
}

export class Pad {
  /** `onStroke(time)` is called when a stroke has ended, `onErase(index)` when one is clicked. */
  constructor(canvas, { onStroke, onErase }) {
    this.canvas = canvas;
    this.strokes = []; // {points, erased}
    this.erasing = false;
    this.map = null; // {picture, frame}
    this.pointer = null;
    Object.assign(this, { onStroke, onErase });
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
      canvas.addEventListener(end, (event) => this.#up(event));
    new ResizeObserver(() => this.paint()).observe(canvas);
  }

  get drawing() {
    return this.pointer !== null;
  }

  /** The strokes that have ended. */
  get finished() {
    return this.drawing ? this.strokes.slice(0, -1) : this.strokes;
  }

  /** Ends the stroke that is being drawn, if any, without telling anybody. */
  release() {
    this.pointer = null;
  }

  // Where the hand leaves the area, its stroke follows the rim until it comes back.
  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    const inside = (value) => Math.min(Math.max(value, 0), 1);
    const x = (event.clientX - box.left) / box.width;
    return [inside(x), inside((event.clientY - box.top) / box.height)];
  }

  #down(event) {
    if (this.drawing || event.button !== 0) return; // a second finger, the right button
    event.preventDefault();
    const at = this.#at(event);
    if (this.erasing) {
      const stroke = this.#nearest(at);
      if (stroke >= 0) this.onErase(stroke);
      return;
    }
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.strokes.push({ points: [at], erased: false });
    this.paint();
  }

  #move(event) {
    if (event.pointerId !== this.pointer) return;
    const { points } = this.strokes.at(-1);
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) points.push(this.#at(each));
    this.paint();
  }

  #up(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.onStroke(event.timeStamp);
  }

  #nearest(at) {
    let [best, found] = [REACH, -1];
    this.strokes.forEach(({ points }, i) =>
      points.forEach((point, j) => {
        const away = distance(at, points[Math.max(j - 1, 0)], point);
        if (away < best) [best, found] = [away, i];
      }),
    );
    return found;
  }

  paint() {
    const { canvas } = this;
    const side = Math.max(1, Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)));
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    context.fillStyle = "white"; // in dark mode too, as all figures of the book
    context.fillRect(0, 0, side, side);
    context.save();
    context.scale(side, side);
    if (this.map) {
      const { picture, frame } = this.map;
      context.drawImage(picture, frame.left, frame.top, frame.width, frame.height);
    }
    context.lineCap = context.lineJoin = "round";
    for (const { points, erased } of this.strokes) {
      context.lineWidth = erased ? PEN / 4 : PEN;
      context.strokeStyle = erased ? "#555" : "black";
      context.setLineDash(erased ? [0.02, 0.015] : []);
      context.beginPath();
      context.moveTo(...points[0]);
      for (const point of points.length > 1 ? points.slice(1) : points) context.lineTo(...point);
      context.stroke();
    }
    context.restore();
  }
}
