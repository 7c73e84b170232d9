"use strict";
(async () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const [width, height] = data.size;
  const count = data.steps.length;

  // Frames: palette indices, each the difference to the one before, all of them one zlib stream.
  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }
  const pixels = await unpack(data.frames);
  const size = width * height;
  for (let i = size; i < pixels.length; i++) pixels[i] = (pixels[i] + pixels[i - size]) & 255;
  const palette = data.palette;

  const picture = $("picture").getContext("2d");
  $("picture").width = width;
  $("picture").height = height;
  const image = picture.createImageData(width, height);
  function paint(at) {
    for (let i = 0, j = at * size, k = 0; i < size; i++, j++, k += 4) {
      const c = pixels[j] * 3;
      image.data[k] = palette[c];
      image.data[k + 1] = palette[c + 1];
      image.data[k + 2] = palette[c + 2];
      image.data[k + 3] = 255;
    }
    picture.putImageData(image, 0, 0);
  }

  function short(x) {
    if (x === null || x === undefined) return "";
    if (Math.abs(x) < 1e-9) return "0";
    return Math.abs(x) >= 1e4 || Math.abs(x) < 1e-3 ? x.toExponential(1) : String(Number(x.toPrecision(3)));
  }

  // Actions: a row each, or a row for each number of a continuous one.
  const [low, high] = data.span;
  const rows = data.names.map((name) => {
    const row = $("actions").insertRow();
    row.insertCell().textContent = name;
    const bar = row.insertCell();
    bar.className = "bar";
    const track = document.createElement("div");
    const fill = document.createElement("div");
    track.className = "track";
    fill.className = "fill";
    track.append(fill);
    bar.append(track);
    const number = row.insertCell();
    const share = row.insertCell();
    number.className = share.className = "number";
    return { row, fill, number, share };
  });
  $("actions-title").textContent = data.title_of_actions;
  function bars(step) {
    const best = step.scores ? Math.max(...step.scores.filter((v) => v !== null)) : null;
    rows.forEach(({ row, fill, number, share }, i) => {
      const value = step.scores ? step.scores[i] : null;
      row.className = (value !== null && value === best && data.ranks ? "best" : "") + (step.taken === i ? " taken" : "");
      number.textContent = value === null ? "" : data.percent ? Math.round(100 * value) + " %" : short(value);
      share.textContent = step.shares ? Math.round(100 * step.shares[i]) + " %" : "";
      const place = (v) => (100 * (Math.min(Math.max(v, low), high) - low)) / (high - low || 1);
      const zero = place(0);
      fill.style.left = Math.min(zero, place(value ?? 0)) + "%";
      fill.style.width = Math.abs(place(value ?? 0) - zero) + "%";
    });
  }

  // The episode as lines.
  const lines = [
    { name: "value", color: "--accent", values: data.steps.map((s) => s.value) },
    { name: "discounted return from here on", color: "--good", values: data.steps.map((s) => s.ahead), dashed: true },
    { name: "reward", color: "--warm", values: data.steps.map((s) => s.reward) },
  ].filter((line) => line.values.some((v) => v !== null));
  $("chart-title").textContent = "over the episode";
  const legend = lines.map((line) => {
    const item = document.createElement("span");
    item.className = line.color.slice(2);
    $("legend").append(item);
    return item;
  });
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
  let at = 0;
  function chart() {
    const canvas = $("chart");
    const scale = window.devicePixelRatio || 1;
    const box = canvas.getBoundingClientRect();
    canvas.width = box.width * scale;
    canvas.height = box.height * scale;
    const c = canvas.getContext("2d");
    c.scale(scale, scale);
    const all = lines.flatMap((line) => line.values.filter((v) => v !== null));
    const bottom = Math.min(0, ...all);
    const top = Math.max(0, ...all);
    const x = (i) => 4 + ((box.width - 8) * i) / Math.max(count - 1, 1);
    const y = (v) => box.height - 6 - ((box.height - 12) * (v - bottom)) / (top - bottom || 1);
    c.strokeStyle = color("--line");
    c.beginPath();
    c.moveTo(0, y(0));
    c.lineTo(box.width, y(0));
    c.stroke();
    for (const line of lines) {
      c.strokeStyle = color(line.color);
      c.lineWidth = 1.5;
      c.setLineDash(line.dashed ? [6, 4] : []);
      c.beginPath();
      let pen = false;
      line.values.forEach((v, i) => {
        if (v === null) pen = false;
        else if (pen) c.lineTo(x(i), y(v));
        else { c.moveTo(x(i), y(v)); pen = true; }
      });
      c.stroke();
    }
    c.setLineDash([]);
    c.strokeStyle = color("--text");
    c.beginPath();
    c.moveTo(x(at), 0);
    c.lineTo(x(at), box.height);
    c.stroke();
  }
  $("chart").addEventListener("pointerdown", (event) => {
    const box = $("chart").getBoundingClientRect();
    show(Math.round(((event.clientX - box.left - 4) / (box.width - 8)) * (count - 1)));
  });

  function show(step) {
    at = Math.min(Math.max(step, 0), count - 1);
    const now = data.steps[at];
    paint(at);
    bars(now);
    chart();
    $("scrubber").value = at;
    $("place").textContent = `step ${at} of ${count - 1}, return so far ${short(now.total)}`;
    $("words").textContent = now.words;
    lines.forEach((line, i) => { legend[i].textContent = `${line.name} ${short(line.values[at]) || "none"}`; });
    history.replaceState(null, "", "#step=" + at);
  }

  function bookmark(step, words) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.textContent = `${step}: ${words}`;
    button.addEventListener("click", () => show(step));
    item.append(button);
    $("bookmarks").append(item);
  }
  data.bookmarks.forEach(([step, words]) => bookmark(step, words));

  let playing = false;
  let last = 0;
  function tick(time) {
    if (!playing) return;
    const due = 1000 / (data.fps * Number($("speed").value));
    if (time - last >= due) {
      const steps = Math.min(Math.floor((time - last) / due), 100);
      last = time - last > 1000 ? time : last + steps * due;
      show(at + steps);
      if (at === count - 1) return play(false);
    }
    requestAnimationFrame(tick);
  }
  function play(on) {
    playing = on;
    $("play").textContent = on ? "pause" : "play";
    if (on) {
      if (at === count - 1) show(0);
      last = performance.now();
      requestAnimationFrame(tick);
    }
  }
  $("scrubber").max = count - 1;
  $("scrubber").addEventListener("input", () => { play(false); show(Number($("scrubber").value)); });
  $("play").addEventListener("click", () => play(!playing));
  $("back").addEventListener("click", () => { play(false); show(at - 1); });
  $("on").addEventListener("click", () => { play(false); show(at + 1); });
  $("mark").addEventListener("click", () => bookmark(at, "yours"));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "SELECT") return;
    const go = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: count - 1 }[event.key];
    if (go !== undefined) { play(false); show(go); }
    else if (event.key === " " && event.target.tagName !== "BUTTON") play(!playing);
    else if (event.key === "b") bookmark(at, "yours");
    else return;
    event.preventDefault();
  });
  window.addEventListener("resize", chart);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", chart);
  show(Number((location.hash.match(/^#step=(\d+)$/) || [0, 0])[1]));
  document.documentElement.dataset.ready = "yes";
})();
