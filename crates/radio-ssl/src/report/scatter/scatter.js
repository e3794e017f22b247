// The points of a map on a canvas: move, zoom, colour, hide classes, name on pointing, cutout on clicking.
// The data are the JSON inside each .scatter element; nothing is fetched.
(() => {
  "use strict";
  const NEAR = 9; // pixels within which the pointer has found a point

  const make = (name, words, parent) => {
    const element = document.createElement(name);
    if (words !== undefined) element.textContent = words;
    parent?.append(element);
    return element;
  };
  const digits = (value) => {
    if (value === null) return "not known";
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(3) : String(Number(value.toPrecision(4)));
  };

  function scatter(root) {
    const data = JSON.parse(root.querySelector("script").textContent);
    const canvas = root.querySelector("canvas");
    const tip = root.querySelector(".scatter-tip");
    const menu = root.querySelector("select");
    const legend = root.querySelector(".scatter-legend");
    const card = root.querySelector(".scatter-card");
    const night = matchMedia("(prefers-color-scheme: dark)");
    const n = data.ids.length;
    const hidden = data.colourings.map(() => new Set());
    let chosen = -1;
    let view = { x: 0, y: 0, zoom: 1 };
    let due = false;

    // Canvas pixels (of the style sheet) per unit of the map; the whole map fits at zoom 1.
    const unit = () =>
      0.92 * view.zoom * Math.min(canvas.clientWidth / data.extent[0], canvas.clientHeight / data.extent[1]);
    const place = (x, y) => [
      canvas.clientWidth / 2 + (x - view.x) * unit(),
      canvas.clientHeight / 2 + (y - view.y) * unit(),
    ];
    const colouring = () => data.colourings[menu.selectedIndex];
    const group = (colours, row) => {
      if (!colours) return -1;
      if (colours.kind === "classes") return colours.of[row];
      const value = colours.values[row];
      if (value === null) return -1;
      const share = (value - colours.low) / (colours.high - colours.low);
      return Math.max(0, Math.min(data.ramp.length - 1, Math.floor(share * data.ramp.length)));
    };
    const colour = (colours, of) => {
      const shade = night.matches ? 1 : 0;
      if (of < 0) return data.unknown[shade];
      return colours.kind === "classes" ? colours.colours[of][shade] : data.ramp[of];
    };
    const shown = (row) => {
      const at = menu.selectedIndex;
      return at < 0 || !hidden[at].size || !hidden[at].has(group(data.colourings[at], row));
    };
    const radius = () => Math.min(7, (n > 8000 ? 1.5 : n > 2000 ? 2.1 : 3) * Math.pow(view.zoom, 0.35));

    function draw() {
      due = false;
      const ratio = window.devicePixelRatio || 1;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height);
      const r = radius();
      const inside = (x, y) => x > -r && y > -r && x < width + r && y < height + r;
      const dot = (x, y) => {
        pen.moveTo(x + r, y);
        pen.arc(x, y, r, 0, 2 * Math.PI);
      };
      pen.fillStyle = data.unknown[night.matches ? 1 : 0];
      pen.globalAlpha = 0.25;
      pen.beginPath();
      for (let k = 0; k < data.background.length; k += 2) {
        const [x, y] = place(data.background[k], data.background[k + 1]);
        if (inside(x, y)) dot(x, y);
      }
      pen.fill();
      const colours = colouring();
      const rows = new Map();
      for (let row = 0; row < n; row++) {
        if (!shown(row)) continue;
        const of = group(colours, row);
        if (!rows.has(of)) rows.set(of, []);
        rows.get(of).push(row);
      }
      // A few rounds over the groups, so that no class lies on top of all others.
      const order = [...rows.keys()].sort((a, b) => a - b);
      const rounds = 8;
      pen.globalAlpha = n > 3000 ? 0.75 : 0.9;
      for (let round = 0; round < rounds; round++) {
        for (const of of order) {
          const list = rows.get(of);
          pen.fillStyle = colour(colours, of);
          pen.beginPath();
          for (let k = round; k < list.length; k += rounds) {
            const [x, y] = place(data.x[list[k]], data.y[list[k]]);
            if (inside(x, y)) dot(x, y);
          }
          pen.fill();
        }
      }
      pen.globalAlpha = 1;
      if (chosen >= 0 && shown(chosen)) {
        const [x, y] = place(data.x[chosen], data.y[chosen]);
        pen.strokeStyle = getComputedStyle(canvas).color;
        pen.lineWidth = 2;
        pen.beginPath();
        pen.arc(x, y, r + 4, 0, 2 * Math.PI);
        pen.stroke();
      }
    }
    const redraw = () => {
      if (!due) {
        due = true;
        requestAnimationFrame(draw);
      }
    };

    function nearest(x, y) {
      let [best, least] = [-1, NEAR * NEAR];
      for (let row = 0; row < n; row++) {
        const [px, py] = place(data.x[row], data.y[row]);
        const apart = (px - x) ** 2 + (py - y) ** 2;
        if (apart < least && shown(row)) [best, least] = [row, apart];
      }
      return best;
    }
    const value = (colours, row) =>
      colours.kind === "values" ? digits(colours.values[row]) : colours.classes[colours.of[row]] ?? "not known";

    function choose(row) {
      chosen = row;
      redraw();
      if (row < 0) return;
      card.replaceChildren();
      if (data.pictures[row]) {
        const picture = make("img", undefined, card);
        picture.alt = `cutout ${data.ids[row]}`;
        picture.src = `data:image/png;base64,${data.pictures[row]}`;
      } else if (Object.keys(data.pictures).length) {
        make("p", "The page holds no cutout of this point.", card);
      }
      make("strong", data.ids[row], card);
      const list = make("dl", undefined, card);
      for (const colours of data.colourings) {
        make("dt", colours.name, list);
        make("dd", value(colours, row), list);
      }
    }

    function explain() {
      legend.replaceChildren();
      const [at, colours] = [menu.selectedIndex, colouring()];
      if (!colours) return;
      if (colours.kind === "values") {
        const bar = make("div", undefined, legend);
        bar.className = "scatter-ramp";
        bar.style.background = `linear-gradient(to right, ${data.ramp.join(",")})`;
        const ends = make("div", undefined, legend);
        ends.className = "scatter-ends";
        make("span", `≤ ${digits(colours.low)}`, ends);
        make("span", `≥ ${digits(colours.high)}`, ends);
        return;
      }
      const counts = new Map();
      for (const of of colours.of) counts.set(of, (counts.get(of) ?? 0) + 1);
      const entries = [...colours.classes.keys()].filter((of) => counts.has(of));
      if (counts.has(-1)) entries.push(-1);
      for (const of of entries) {
        const line = make("label", undefined, legend);
        const box = make("input", undefined, line);
        box.type = "checkbox";
        box.checked = !hidden[at].has(of);
        line.classList.toggle("off", !box.checked);
        make("i", undefined, line).style.background = colour(colours, of);
        make("span", of < 0 ? "not known" : colours.classes[of], line);
        make("b", counts.get(of), line);
        box.addEventListener("change", () => {
          hidden[at][box.checked ? "delete" : "add"](of);
          line.classList.toggle("off", !box.checked);
          redraw();
        });
      }
    }

    function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
      const before = unit();
      const at = [view.x + (x - canvas.clientWidth / 2) / before, view.y + (y - canvas.clientHeight / 2) / before];
      view.zoom = Math.max(0.5, Math.min(400, view.zoom * factor));
      view.x = at[0] - (x - canvas.clientWidth / 2) / unit();
      view.y = at[1] - (y - canvas.clientHeight / 2) / unit();
      redraw();
    }
    const all = () => {
      view = { x: 0, y: 0, zoom: 1 };
      redraw();
    };

    const fingers = new Map();
    let moved = 0;
    const local = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, local(event));
      moved = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = local(event);
      const before = fingers.get(event.pointerId);
      if (!before) {
        const row = nearest(...now);
        canvas.classList.toggle("over", row >= 0);
        tip.hidden = row < 0;
        if (row >= 0) {
          const colours = colouring();
          tip.textContent = colours ? `${data.ids[row]}\u2003${value(colours, row)}` : data.ids[row];
          tip.style.left = `${Math.max(4, Math.min(now[0] + 12, canvas.clientWidth - tip.offsetWidth - 6))}px`;
          tip.style.top = `${Math.max(4, Math.min(now[1] + 14, canvas.clientHeight - tip.offsetHeight - 6))}px`;
        }
        return;
      }
      tip.hidden = true;
      moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
      if (fingers.size === 2) {
        const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
        const apart = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
        if (apart(before) > 0) zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      } else {
        view.x -= (now[0] - before[0]) / unit();
        view.y -= (now[1] - before[1]) / unit();
        redraw();
      }
      fingers.set(event.pointerId, now);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (fingers.size === 1 && moved < 5) choose(nearest(...local(event)));
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
    }
    canvas.addEventListener("pointerleave", () => (tip.hidden = true));
    canvas.addEventListener(
      "wheel",
      (event) => {
        // In a long page the wheel belongs to the page until the picture was clicked.
        if (!("wheel" in root.dataset || event.ctrlKey || document.activeElement === canvas)) return;
        event.preventDefault();
        zoom(Math.exp(-0.0015 * event.deltaY * (event.deltaMode ? 16 : 1)), ...local(event));
      },
      { passive: false },
    );
    canvas.addEventListener("keydown", (event) => {
      const step = 40 / unit();
      const keys = {
        ArrowLeft: () => (view.x -= step),
        ArrowRight: () => (view.x += step),
        ArrowUp: () => (view.y -= step),
        ArrowDown: () => (view.y += step),
        "+": () => zoom(1.3),
        "-": () => zoom(1 / 1.3),
        0: all,
        Escape: () => choose(-1),
      };
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
      redraw();
    });
    const [nearer, further, whole] = root.querySelectorAll(".scatter-zoom button");
    nearer.addEventListener("click", () => zoom(1.5));
    further.addEventListener("click", () => zoom(1 / 1.5));
    whole.addEventListener("click", all);
    menu.addEventListener("change", () => {
      explain();
      redraw();
    });
    night.addEventListener("change", () => {
      explain();
      redraw();
    });
    new ResizeObserver(redraw).observe(canvas);

    // #colour=rms&id=NAME opens the page at a colouring and a point: a link that can be sent.
    const wish = new URLSearchParams(location.hash.slice(1));
    const wanted = data.colourings.findIndex((colours) => colours.name === wish.get("colour"));
    if (wanted >= 0) menu.selectedIndex = wanted;
    explain();
    choose(wish.has("id") ? data.ids.indexOf(wish.get("id")) : -1);
  }

  document.querySelectorAll(".scatter").forEach(scatter);
})();
