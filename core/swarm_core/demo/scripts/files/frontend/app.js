// The dispatcher's dashboard. The token lives in this variable only: closing the tab is logging out.
"use strict";

let token = "";

const find = (id) => document.getElementById(id);

async function call(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(`/api${path}`, { method, headers, body: body && JSON.stringify(body) });
  const value = await response.json();
  if (response.status === 401 && token) logOut();
  if (!response.ok) throw new Error(value.error);
  return value;
}

// What comes from the server is only ever text, never markup.
function cell(content) {
  const td = document.createElement("td");
  td.append(content);
  return td;
}

function row(...contents) {
  const tr = document.createElement("tr");
  tr.append(...contents.map(cell));
  return tr;
}

function fillLevel(percent) {
  const meter = document.createElement("meter");
  Object.assign(meter, { min: 0, max: 100, low: 50, high: 80, optimum: 0, value: percent });
  const label = document.createElement("span");
  label.textContent = ` ${percent} %`;
  if (percent >= 80) label.className = "late";
  const both = document.createElement("span");
  both.append(meter, label);
  return both;
}

async function refresh() {
  const [bins, customers] = await Promise.all([call("GET", "/bins"), call("GET", "/customers")]);
  find("bins").replaceChildren(...bins.map((bin) => row(bin.customer, bin.kind, fillLevel(bin.fill_percent))));
  find("customers").replaceChildren(...customers.map((c) => row(c.name, c.address, String(c.bins))));
}

function shape(kind, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// Fit the tour into the picture; a degree of longitude is shorter than one of latitude up here.
function draw(route) {
  const tour = [route.depot, ...route.stops.map((s) => [s.latitude, s.longitude]), route.depot];
  const narrow = Math.cos((route.depot[0] * Math.PI) / 180);
  const xs = tour.map(([, longitude]) => longitude * narrow);
  const ys = tour.map(([latitude]) => -latitude);
  const left = Math.min(...xs), top = Math.min(...ys);
  const scale = Math.min(560 / (Math.max(...xs) - left || 1), 260 / (Math.max(...ys) - top || 1));
  const points = tour.map((_, i) => [20 + (xs[i] - left) * scale, 20 + (ys[i] - top) * scale]);
  find("map").replaceChildren(
    shape("polyline", { points: points.map((p) => p.join(",")).join(" ") }),
    ...points.slice(0, -1).map(([cx, cy], i) => shape("circle", { cx, cy, r: 6, class: i ? "stop" : "depot" })),
  );
}

function show(route) {
  draw(route);
  find("stops").replaceChildren(
    ...route.stops.map((stop) => {
      const item = document.createElement("li");
      item.textContent = `${stop.customer}, ${stop.address} (${stop.kind}, ${stop.fill_percent} %)`;
      return item;
    }),
  );
  find("status").textContent = `${route.stops.length} stops, ${route.distance_km.toFixed(1)} km`;
}

function logOut() {
  token = "";
  find("login").hidden = false;
  find("dashboard").hidden = true;
  find("status").textContent = "logged out, please log in again";
}

function onSubmit(id, action) {
  find(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await action(Object.fromEntries(new FormData(event.target)));
    } catch (error) {
      find("status").textContent = error.message;
    }
  });
}

onSubmit("login", async (values) => {
  const answer = await call("POST", "/auth/login", values);
  token = answer.access_token;
  find("login").hidden = true;
  find("dashboard").hidden = false;
  find("status").textContent = `logged in as ${answer.role}`;
  await refresh();
});

onSubmit("plan", async (values) => {
  const name = `Tour of ${new Date().toLocaleDateString()}`;
  show(await call("POST", "/routes", { name, min_fill: Number(values.min_fill) }));
});

find("plan").elements.min_fill.addEventListener("input", (event) => {
  find("threshold").textContent = event.target.value;
});
