// Start a run: the form of a DAG as Airflow describes it, filled in by the link that led here. Airflow itself decides
// whether the user may start it; what is sent is what Airflow's own form would send.

import { Refused, airflowLink, askAirflow, begin, byId, dagPath, empty, failed, filling, make, parameters, show } from "./common.js";

const { dag_id: dag, ...filled } = parameters();

async function load() {
  if (!dag) {
    show("state", empty("Which DAG?", "Come here by a link of the Markets page."));
    return;
  }
  let details;
  try {
    details = await askAirflow(`${dagPath(dag)}/details`);
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404) throw error;
    show("state", empty(`Airflow has no DAG ${dag}.`, "Check that its file is in the DAGs folder and imports without errors."));
    return;
  }
  show("title", "Start ", airflowLink(dagPath(dag), dag));
  show("state", details.description && make("p", {}, details.description), details.is_paused && make("p", { class: "note" }, "! This DAG is paused: the run will wait until it is unpaused on ", airflowLink(dagPath(dag), "the DAG’s page"), "."));
  drawForm(details.params ?? {});
}

function drawForm(described) {
  const form = byId("form");
  const fields = Object.entries(described).map(([name, each]) => field(name, each));
  form.replaceChildren(...fields.map((each) => each.label), make("div", { class: "end" }, make("button", { class: "main", type: "submit" }, "Start the run"),
    make("span", { class: "soft" }, "Sent with your own login; Airflow checks your rights.")));
  form.hidden = false;
  form.onsubmit = (event) => {
    event.preventDefault();
    send(Object.fromEntries(fields.map((each) => [each.name, each.value()])));
  };
}

/** One parameter: its labelled field, and how to read its value as JSON. */
function field(name, { value, description, schema = {} }) {
  const types = [schema.type ?? typeof value].flat();
  const first = Object.hasOwn(filled, name) ? filled[name] : value;
  const made = schema.enum ? chosen(name, schema, first) : types.includes("boolean") ? flag(name, first, types) : types.includes("array") ? lines(name, first) : text(name, schema, types, first);
  const title = [schema.title ?? name, description && make("small", {}, description)];
  const label = make("label", { class: made.flag ? "flag" : null }, made.flag ? [made.input, ...title] : [title[0], made.input, title[1]]);
  return { name, label, value: made.value };
}

function chosen(name, schema, first) {
  const texts = schema.values_display ?? {};
  const input = make("select", { name }, schema.enum.map((each) => make("option", { value: JSON.stringify(each), selected: String(each ?? "") === String(first ?? "") }, texts[String(each)] ?? String(each ?? "–"))));
  return { input, value: () => JSON.parse(input.value) };
}

function flag(name, first, types) {
  if (types.includes("null")) return chosen(name, { enum: [null, true, false], values_display: { null: "as usual", true: "yes", false: "no" } }, first);
  const input = make("input", { type: "checkbox", name, checked: String(first) === "true" });
  return { input, flag: true, value: () => input.checked };
}

function lines(name, first) {
  const given = Array.isArray(first) ? first : (first ?? "").split(",").filter(Boolean);
  const input = make("textarea", { name, rows: "3", spellcheck: "false", placeholder: "one per line" }, given.join("\n"));
  return { input, value: () => { const found = input.value.split("\n").map((each) => each.trim()).filter(Boolean); return found.length ? found : null; } };
}

function text(name, schema, types, first) {
  const numeric = types.includes("integer") || types.includes("number");
  const input = make("input", { name, type: schema.format === "date" ? "date" : numeric ? "number" : "text", value: first ?? "", spellcheck: "false", step: numeric ? "any" : null });
  return { input, value: () => (input.value === "" ? (types.includes("null") ? null : numeric ? null : "") : numeric ? Number(input.value) : input.value) };
}

async function send(conf) {
  const button = byId("form").querySelector("button");
  button.disabled = true;
  try {
    const run = await askAirflow(`${dagPath(dag)}/dagRuns`, {}, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ logical_date: null, conf }),
    });
    show("done", make("div", { class: "state" }, make("strong", {}, "Started."), make("p", {}, "Watch it: ",
      airflowLink(`${dagPath(dag)}/runs/${encodeURIComponent(run.dag_run_id)}`, run.dag_run_id, { id: "started" }))));
  } catch (error) {
    show("done", failed(error));
  } finally {
    button.disabled = false;
  }
}

begin();
await filling("state", load);
