// The table of drugs, and the predictions of the drug that is opened. Names are data: they reach
// the page as text only.
"use strict";

const byId = (id) => document.getElementById(id);
const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));

async function unpack(id) {
  const bytes = Uint8Array.from(atob(byId(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// Unpacked once, when the first drug is opened.
let unpacked = null;
function load() {
  unpacked ??= Promise.all([unpack("data"), unpack("rows")]).then(([data, rows]) => ({
    ...JSON.parse(new TextDecoder().decode(data)),
    bytes: new Uint8Array(rows),
  }));
  return unpacked;
}

// See packing.py: three columns, each in four planes of bytes, the lowest first.
function predictions(all, drug) {
  const total = all.bytes.length / 12;
  const [start, count] = drug.rows;
  const read = (column, row) => {
    const at = column * 4 * total + row;
    const [a, b, c, d] = [0, 1, 2, 3].map((plane) => all.bytes[at + plane * total]);
    return a + b * 2 ** 8 + c * 2 ** 16 + d * 2 ** 24;
  };
  const auc = (column, row) => all.low + all.step * read(column, row);
  let cell = 0;
  return Array.from({ length: count }, (_, i) => {
    cell += read(0, start + i);
    return { cell: all.cells[cell], x: auc(1, start + i), y: auc(2, start + i) };
  });
}

function describe(drug, { baseline, others }) {
  const range = `${fixed(drug.rmse_low, 4)} to ${fixed(drug.rmse_high, 4)}`;
  return [
    ["rmse", fixed(drug.rmse, 4)],
    ["rmse, 95 %", range],
    ["sd over repeats", fixed(drug.rmse_repeats_sd, 4)],
    [`${baseline} rmse`, fixed(drug.baseline_rmse, 4)],
    ["training mean rmse", fixed(drug.train_mean_rmse, 4)],
    ...others.map((name) => [`${name} rmse`, fixed(drug[name], 4)]),
    ["skill", fixed(drug.skill, 3)],
    ["bias", fixed(drug.bias, 4)],
    ["pcc", fixed(drug.pcc, 3)],
    ["scc", fixed(drug.scc, 3)],
    ["r2", fixed(drug.r2, 3)],
    ["z", fixed(drug.z, 2)],
    ["robust z", fixed(drug.robust_z, 2)],
    ["quantile", fixed(drug.quantile, 3)],
    ["probability of high", fixed(drug.probability, 2)],
    ["mean true AUC", fixed(drug.auc_mean, 4)],
    ["sd of true AUC", fixed(drug.auc_sd, 4)],
    ...EXPLAINED.filter(([, name]) => drug[name] !== null).map(([title, name, digits]) => [title, fixed(drug[name], digits)]),
  ];
}

// What may explain an error: title, name, decimals.
const EXPLAINED = [
  ["share of sensitive cells", "sensitive", 3],
  ["sd between replicates", "noise", 4],
  ["distance to the nearest", "distance", 2],
  ["1 − Tanimoto to the nearest", "tanimoto", 3],
];

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function row(tag, cells) {
  const made = document.createElement(tag);
  made.append(...cells);
  return made;
}

function listFacts(drug, all) {
  const known = describe(drug, all).filter(([name]) => drug.repeats > 1 || name !== "sd over repeats");
  const pairs = known.map(([name, value]) => [element("dt", name), element("dd", value)]);
  byId("drug-facts").replaceChildren(...pairs.map((pair) => row("div", pair)));
}

// A drug that was held out, too, is a button that opens it.
function listNearest(drug, all) {
  const lines = (drug.nearest ?? []).map((name) => {
    const number = all.drugs.findIndex((other) => other.drug === name);
    if (number < 0) return row("li", [element("span", `${name}: was not held out`)]);
    const button = element("button", name);
    button.type = "button";
    button.className = "open";
    button.addEventListener("click", () => open(number).catch(complain));
    const other = all.drugs[number];
    return row("li", [button, element("span", `: rmse ${fixed(other.rmse, 4)}${other.high ? ", high" : ""}`)]);
  });
  byId("nearest").hidden = lines.length === 0;
  byId("nearest").querySelector("ul").replaceChildren(...lines);
}

function listWorst(points, most) {
  const worst = points.toSorted((p, q) => Math.abs(q.y - q.x) - Math.abs(p.y - p.x)).slice(0, most);
  byId("worst-title").textContent = `The ${worst.length} worst of ${points.length} predictions`;
  const lines = worst.map((p) => [p.cell, fixed(p.x, 4), fixed(p.y, 4), fixed(p.y - p.x, 4)]);
  const made = lines.map((line) => row("tr", line.map((text) => element("td", text))));
  byId("worst").tBodies[0].replaceChildren(...made);
}

let chart = null;
function drawPoints(points, name) {
  const values = points.flatMap((p) => [p.x, p.y]);
  const low = Math.max(0, Math.floor(Math.min(...values) * 10) / 10);
  const high = Math.ceil(Math.max(...values) * 10) / 10;
  const axis = (text) => ({ min: low, max: high, title: { display: true, text } });
  const label = (item) => {
    const p = item.raw;
    return `${p.cell}: true ${fixed(p.x, 4)}, predicted ${fixed(p.y, 4)}`;
  };
  const dots = { data: points, backgroundColor: "#0072b299", pointRadius: 3, pointHoverRadius: 6 };
  const line = {
    type: "line", data: [{ x: low, y: low }, { x: high, y: high }], pointRadius: 0,
    pointHitRadius: 0, borderColor: "#666", borderDash: [6, 4], borderWidth: 1,
  };
  chart?.destroy();
  chart = new Chart(byId("chart"), {
    type: "scatter",
    data: { datasets: [dots, line] },
    options: {
      animation: false,
      maintainAspectRatio: false,
      scales: { x: axis("true AUC"), y: axis("predicted AUC") },
      plugins: {
        legend: { display: false },
        tooltip: { filter: (item) => item.datasetIndex === 0, callbacks: { label } },
      },
    },
  });
  byId("chart").setAttribute(
    "aria-label", `Scatter of true and predicted AUC of ${points.length} rows of ${name}`,
  );
}

async function open(number) {
  const all = await load();
  const drug = all.drugs[number];
  const points = predictions(all, drug);
  const index = drug.index === null ? "" : `, index ${drug.index}`;
  byId("drug-name").textContent = drug.drug;
  byId("drug-place").textContent = `${drug.run}${index}; ${points.length} rows, ${drug.cells} ${all.unit}s`;
  listFacts(drug, all);
  listNearest(drug, all);
  listWorst(points, all.worst);
  if (!byId("drug").open) byId("drug").showModal();
  byId("drug").scrollTop = 0;
  drawPoints(points, drug.drug);
}

function complain(error) {
  byId("trouble").textContent = `The predictions cannot be shown: ${error}`;
  byId("trouble").hidden = false;
}

// Rows come and go with the page of the table, so the table listens for them.
byId("table").addEventListener("click", (event) => {
  const button = event.target.closest("button.open");
  if (button) open(Number(button.dataset.drug)).catch(complain);
});

const { noun } = byId("table").dataset;
new DataTable("#table", {
  autoWidth: false,
  order: [],
  pageLength: 25,
  lengthMenu: [25, 100, { label: "all", value: -1 }],
  language: {
    search: "Search",
    lengthMenu: `Show _MENU_ ${noun}s`,
    info: `_START_ to _END_ of _TOTAL_ ${noun}s`,
    infoEmpty: `no ${noun}`,
    infoFiltered: "(of _MAX_)",
    zeroRecords: `no ${noun} matches`,
  },
});
