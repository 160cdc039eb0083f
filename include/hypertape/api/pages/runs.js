// Runs as the ledgers name them, and links to them in Airflow.

import { airflowAddress, airflowLink, askAirflow, dagPath, make } from "./common.js";

const COMMANDS = ["sync", "heal", "backfill", "replay"];
const TYPED = /__(?=(?:manual|scheduled|backfill|asset_triggered|asset_materialization)__)/;

/**
 * The DAGs and runs that a ledger's run id may stand for (orchestration.form_fields names them), the first to look for first:
 * none for a run of the command line, several where a DAG's or a run's own id holds "__". Only Airflow knows which of
 * them there is. Ids that Airflow gives say where they begin.
 */
export function dagRuns(name) {
  const parts = (name ?? "").split("__");
  if (parts.length < 2 || !parts[0] || COMMANDS.includes(parts[0])) return [];
  const typed = name.search(TYPED);
  const found = [];
  for (let at = 1; at < parts.length; at++) {
    const [dag, run] = [parts.slice(0, at).join("__"), parts.slice(at).join("__")];
    if (!run || (typed > 0 && dag.length !== typed)) continue;
    const again = /^(.+)__([2-9]|[1-9]\d)$/.exec(run);
    if (!again || !TYPED.test(`__${again[1]}`)) found.push({ dag, run, cleared: 0 });
    if (again) found.push({ dag, run: again[1], cleared: Number(again[2]) - 1 });
  }
  return found;
}

const runPath = ({ dag, run }) => `${dagPath(dag)}/runs/${encodeURIComponent(run)}`;

/** A run's name as a link to it in Airflow, or as text. Where several may be meant, Airflow is asked which there is. */
export function runLink(name, text) {
  const likely = dagRuns(name);
  if (!likely.length) return make("span", { class: "mono", title: "A run of the command line" }, text ?? name ?? "–");
  if (likely.length === 1) return runOf(likely[0], text);
  const link = airflowLink(runPath(likely[0]), text ?? name, { class: "run-link", title: name });
  resolving(link, likely);
  return link;
}

/** A link to a run that is known for certain. */
export const runOf = (run, text = runLabel(run)) =>
  airflowLink(runPath(run), text, { class: "run-link", title: `${run.dag} · ${run.run}` });

export const runLabel = ({ run, cleared }) => `${run}${cleared ? ` (cleared ${cleared}×)` : ""}`;

/** Point a link at the one of several runs that there is, when it is about to be followed. */
function resolving(link, likely) {
  let asked = null,
    known = false;
  const resolve = () =>
    (asked ??= firstThereIs(likely).then((run) => {
      link.href = airflowAddress(runPath(run));
      known = true;
    }));
  for (const event of ["pointerenter", "focus"]) link.addEventListener(event, resolve);
  const wait = (event) => {
    if (known) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    resolve().then(() => link.dispatchEvent(new MouseEvent("click", event)));
  };
  link.addEventListener("click", wait, { capture: true });
}

async function firstThereIs(likely) {
  for (const each of likely) {
    const path = `${dagPath(each.dag)}/dagRuns/${encodeURIComponent(each.run)}`;
    const there = await askAirflow(path).then(
      () => true,
      () => false,
    );
    if (there) return each;
  }
  return likely[0];
}
