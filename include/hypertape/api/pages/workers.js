// Who works, on what, since when; and the dead.

import { ask, count, empty, instant, make, pill, show, table } from "./common.js";

const MOST_NAMES = 3;
const LEVELS = { working: "good", idle: "good", dead: "bad", ended: "unknown" };
const whole = (text) => instant(text.replace(/\.\d+/, ""));

export async function workers(id) {
  const { workers: found } = await ask("workers");
  if (!found.length) {
    show(id, empty("No worker runs beside Airflow.", "Start any number: ", make("code", {}, "hypertape worker --market vn"), "."));
    return;
  }
  const columns = [
    { label: "Worker", kind: "h" },
    { label: "Kind" },
    { label: "State" },
    { label: "Holds", kind: "w", title: "The units it works on: no other worker takes them while it lives" },
    { label: "Since (UTC)", kind: "t", title: "Since when it holds them; else since when it runs, or is gone" },
    { label: "Last beat (UTC)", kind: "t" },
    { label: "Completed", kind: "n", title: "Series, as each ended last" },
    { label: "Failed", kind: "n" },
    { label: "Skipped", kind: "n", title: "Somebody else had loaded them just before" },
  ];
  show(id, table("Workers", columns, found.map(row), { tall: true }));
}

function row(worker) {
  const dead = worker.state === "dead";
  return [
    make("span", { title: `on ${worker.hostname}, since ${worker.started_at}` }, worker.worker_id),
    worker.worker_type,
    pill(LEVELS[worker.state] ?? "unknown", worker.state, dead ? "the next worker takes what it holds" : undefined),
    holds(worker),
    whole(worker.since ?? worker.gone_at ?? worker.started_at),
    whole(worker.last_heartbeat),
    count(worker.completed),
    worker.failed ? make("span", { class: "bad" }, `✕ ${count(worker.failed)}`) : "0",
    count(worker.skipped),
  ];
}

/** The first units, and how many more there are. */
function holds({ holds: byKind, units }) {
  const names = Object.values(byKind).flat();
  if (!names.length) return "nothing";
  const shown = names.slice(0, MOST_NAMES).join(", ");
  return units > MOST_NAMES
    ? make("span", { title: names.slice(0, 100).join(", ") }, `${shown} and ${count(units - MOST_NAMES)} more`)
    : shown;
}
