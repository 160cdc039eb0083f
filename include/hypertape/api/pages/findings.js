// Findings: what is wrong now, one line per cause. Who may write can put one out of the way, and take that back.

import { Refused, ask, byId, failed, headlineOf, instant, make, pill, plural, show, table, tell } from "./common.js";

const LEVELS = { critical: "bad", warning: "note", note: "unknown" };
const MOST_REASON = 500;

/**
 * Fill `id` with the findings of a place (`asked` as of GET /findings), and `verdict` with their headline when they change.
 * `first` is an answer that is at hand, `path` another route that answers the same.
 */
export async function findings(id, asked, first = null, path = "findings") {
  const [answer, { may_write: mayWrite }] = await Promise.all([first ?? ask(path, asked), ask("caller")]);
  const again = async () => {
    const changed = await ask(path, asked);
    show("verdict", headlineOf(changed.headline));
    await findings(id, asked, changed, path);
    byId(id).querySelector("button, summary")?.focus();
  };
  const [open, away] = ["open", "acknowledged"].map((state) => answer.findings.filter((each) => each.state === state));
  show(
    id,
    open.length ? openTable(open, answer.now, mayWrite && again) : make("p", { class: "soft" }, "None is open."),
    away.length > 0 && awayTable(away, mayWrite && again),
  );
}

const what = (each) =>
  make("span", { title: each.tickers.slice(0, 50).join(", ") }, `${each.title} (finding ${each.finding_id})`);

function openTable(found, now, again) {
  const columns = [
    { label: "Severity" },
    { label: "What is wrong", kind: "w" },
    { label: "Since (UTC)", kind: "t" },
    { label: "What mends it", kind: "w" },
    again && { label: "May it wait?" },
  ].filter(Boolean);
  const rows = found.map((each) =>
    [
      pill(LEVELS[each.severity], each.severity),
      what(each),
      instant(each.opened_at.slice(0, 19)),
      make("code", {}, each.mend),
      again &&
        make(
          "button",
          {
            type: "button",
            class: "plain",
            "aria-label": `Acknowledge finding ${each.finding_id}`,
            onclick: () => acknowledge(each, now, again),
          },
          "Acknowledge …",
        ),
    ].filter(Boolean),
  );
  return table("Findings", columns, rows);
}

function awayTable(found, again) {
  const columns = [
    { label: "Severity" },
    { label: "What may wait", kind: "w" },
    { label: "Why", kind: "w" },
    { label: "By" },
    { label: "Until (UTC)", kind: "t" },
    again && { label: "Go to" },
  ].filter(Boolean);
  const rows = found.map((each) =>
    [
      pill(LEVELS[each.severity], each.severity),
      what(each),
      each.acknowledged_reason,
      each.acknowledged_by,
      each.acknowledged_until ? instant(each.acknowledged_until.slice(0, 19), true) : "it changes",
      again &&
        make(
          "button",
          {
            type: "button",
            class: "plain",
            "aria-label": `Reopen finding ${each.finding_id}`,
            onclick: (event) => reopen(event.currentTarget, each, again),
          },
          "Reopen",
        ),
    ].filter(Boolean),
  );
  return make(
    "details",
    { id: "acknowledged" },
    make("summary", {}, `${plural(found.length, "finding is", "findings are")} acknowledged and may wait`),
    table("Acknowledged findings", columns, rows),
  );
}

async function reopen(button, each, again) {
  button.disabled = true;
  try {
    await tell(`findings/${each.finding_id}/reopen`);
    await again();
  } catch (error) {
    button.replaceWith(failed(error));
  }
}

/** Ask why it may wait, and until when; then put it out of the way. */
function acknowledge(each, now, again) {
  const said = make("div", { role: "alert" });
  const tomorrow = new Date(Date.parse(now) + 86400000).toISOString().slice(0, 10);
  const reason = make("textarea", { name: "reason", rows: "3", required: true, maxlength: MOST_REASON });
  const until = make("input", { name: "until", type: "date", min: tomorrow });
  const send = make("button", { class: "main", type: "submit" }, "Acknowledge");
  const dialog = make(
    "dialog",
    { class: "ask", "aria-labelledby": "ask-h", onclose: () => dialog.remove() },
    make(
      "form",
      {
        onsubmit: async (event) => {
          event.preventDefault();
          send.disabled = true;
          try {
            await tell(`findings/${each.finding_id}/acknowledge`, { reason: reason.value, until: until.value });
            dialog.close();
            await again();
          } catch (error) {
            if (!(error instanceof Refused)) throw error;
            said.replaceChildren(failed(error));
            send.disabled = false;
          }
        },
      },
      make("h2", { id: "ask-h" }, `Finding ${each.finding_id} may wait`),
      make("p", {}, each.title),
      make("label", {}, "Why, for those who come after you", reason),
      make("label", {}, "Until (UTC); empty: until it changes", until),
      said,
      make(
        "div",
        { class: "end" },
        send,
        make("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        make("span", { class: "soft" }, "It comes back when it changes. Your name is kept with it."),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  reason.focus();
}
