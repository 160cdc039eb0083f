// What happened to the bars of the Ticker page: restatements, gaps, refused rows, splits and dividends.

import { ask, count, instant, make, number, plural, show, startLink, table } from "./common.js";
import { pick, sign } from "./chart.js";
import { BASE, DAY, RELATION, at, nextDay, seconds, shown, span } from "./series.js";
import { runLink } from "./runs.js";

const MOST_MARKS = 1000;
const MOST_SIGNS = 12;

/** Ask the ledgers about the shown bars, mark and list what they say; not if `isOver()` by then. */
export async function happened(isOver) {
  const { market, symbol, interval } = shown.chosen;
  const series = { mode: market, symbol, interval: BASE[interval], limit: MOST_MARKS };
  const [from, to] = [shown.bars[0].time.slice(0, 10), lastDay()];
  const [former, gaps, refused, actions] = await Promise.all([
    ask("revisions", { ...series, start_date: from, end_date: to }),
    ask("gaps", { ...series, open: "false" }),
    ask("quarantine", { ...series, open: "false" }),
    ask("actions", { mode: market, symbol, start_date: from, end_date: to }),
  ]);
  const replaced = await replacing(former.revisions);
  if (isOver()) return;
  const inside = (text) => {
    const time = seconds(text);
    return time >= seconds(shown.bars[0].time) && time < Date.parse(to) / 1000 + 86400;
  };
  const found = [
    ...restated(former.revisions, replaced),
    ...gaps.gaps.filter((gap) => inside(gap.start_time) || inside(gap.end_time)).map(gapMark),
    ...refused.quarantine.filter((row) => row.time && inside(row.time)).map(refusedMark),
    ...(shown.chosen.interval === "1M" ? [] : actions.actions).map(actionMark),
  ];
  const marks = found
    .flatMap((each) => each.times.map((time) => ({ ...each.look, at: at(seconds(time)) })))
    .filter((each) => each.at >= 0);
  const seen = new Set();
  const unique = marks.filter((each) => {
    const key = `${each.at} ${each.kind}`;
    return !seen.has(key) && seen.add(key);
  });
  sign(unique.sort((a, b) => a.at - b.at));
  list(found, former.next);
}

const lastDay = () => {
  const width = { "1W": 6, "2W": 13, "1M": 30 }[shown.chosen.interval] ?? 0;
  return new Date(Date.parse(shown.bars.at(-1).time.slice(0, 10)) + width * DAY).toISOString().slice(0, 10);
};

async function replacing(revisions) {
  const ids = [...new Set(revisions.map((row) => row.replaced_by))].slice(0, 20);
  const answers = await Promise.all(ids.map((id) => ask("loads", { load_id: id })));
  return new Map(answers.flatMap((answer) => answer.loads).map((row) => [row.load_id, row]));
}

const LOOKS = {
  restated: {
    kind: "restated",
    sign: "R",
    shape: "circle",
    side: "belowBar",
    tone: "note",
    text: "restated by the vendor; of many bars the first and last are marked",
  },
  gap: {
    kind: "gap",
    sign: "G",
    shape: "arrowDown",
    side: "aboveBar",
    tone: "bad",
    text: "bars missing after this one",
  },
  refused: {
    kind: "refused",
    sign: "Q",
    shape: "square",
    side: "aboveBar",
    tone: "unknown",
    text: "a row was refused (quarantine)",
  },
  split: { kind: "split", sign: "S", shape: "arrowUp", side: "belowBar", tone: "accent", text: "split" },
  dividend: { kind: "dividend", sign: "D", shape: "arrowUp", side: "belowBar", tone: "good", text: "dividend" },
  capital_gain: { kind: "dividend", sign: "G", shape: "arrowUp", side: "belowBar", tone: "good", text: "capital gain" },
};

function restated(revisions, loads) {
  const byLoad = Map.groupBy ? Map.groupBy(revisions, (row) => row.replaced_by) : grouped(revisions);
  return [...byLoad].map(([id, rows]) => {
    const load = loads.get(id);
    const sample = rows.find((row) => shown.bars[at(seconds(row.time))]) ?? rows[0];
    const now = BASE[shown.chosen.interval] === shown.chosen.interval ? shown.bars[at(seconds(sample.time))] : null;
    const changed = now ? ["open", "high", "low", "close", "volume"].filter((name) => now[name] !== sample[name]) : [];
    return {
      look: LOOKS.restated,
      times: signed(rows),
      first: rows[0].time,
      what: `${plural(rows.length, "bar")} restated`,
      detail:
        span(rows[0].time, rows.at(-1).time) +
        (now && !changed.length
          ? ` · the adjusted close only, for example of ${instant(sample.time, true)}, which was ${number(sample.adjusted_close)}`
          : changed.length
            ? ` · for example ${instant(sample.time, true)}: ${changed.map((name) => `${name} ${number(sample[name])} → ${number(now[name])}`).join(", ")}`
            : ` · for example close was ${number(sample.close)}`),
      when: sample.valid_to,
      run: load?.run_id,
    };
  });
}

/** Where a restatement is marked: at each bar, or at the first and last of many, which would hide the candles. */
const signed = (rows) => (rows.length > MOST_SIGNS ? [rows[0], rows.at(-1)] : rows).map((row) => row.time);

function grouped(rows) {
  const found = new Map();
  for (const row of rows) found.set(row.replaced_by, [...(found.get(row.replaced_by) ?? []), row]);
  return found;
}

const gapMark = (gap) => ({
  look: LOOKS.gap,
  times: [new Date(Date.parse(gap.start_time) - 1000).toISOString()],
  first: gap.start_time,
  what: `gap: ${gap.reason}`,
  detail: `${span(gap.start_time, gap.end_time)} · ${plural(gap.sessions ?? 1, "session")}, ${plural(gap.bars, "bar")}${gap.detail ? ` · ${gap.detail}` : ""}${gap.closed_at ? ` · closed: ${gap.closed_reason ?? ""} ${instant(gap.closed_at.slice(0, 19))}` : " · open"}`,
  when: gap.found_at,
  run: gap.found_run,
  open: !gap.closed_at,
  gap,
});

const refusedMark = (row) => ({
  look: LOOKS.refused,
  times: [row.time],
  first: row.time,
  what: `refused: ${row.rule}`,
  detail: `${instant(row.time, true)} · value ${row.value ?? "–"} from ${row.source}${row.released_at ? ` · released ${instant(row.released_at.slice(0, 19))}` : ""}`,
  when: row.quarantined_at,
  run: row.run_id,
});

const actionMark = (action) => ({
  look: LOOKS[action.kind],
  times: [action.time],
  first: action.time,
  what: action.kind,
  detail: `${instant(action.time, true)} · ${action.kind === "split" ? `${number(action.value)} new shares per old one` : `${number(action.value)} per share`}`,
  when: null,
  run: null,
});

function list(found, more) {
  const kinds = [...new Set(found.map((each) => each.look))];
  show(
    "legend",
    kinds.map((look) => make("span", {}, make("i", { class: look.tone }, look.sign), look.text)),
  );
  show("marks-say", found.length ? `in the shown bars, from the ledgers of ${BASE[shown.chosen.interval]}` : "");
  if (!found.length) {
    show(
      "marks",
      make("p", { class: "soft" }, "Nothing: no restatement, gap, refused row, split or dividend in the shown bars."),
    );
    return;
  }
  const columns = [
    { label: "What", kind: "h" },
    { label: "Bars and details", kind: "w" },
    { label: "Noticed (UTC)", kind: "t" },
    { label: "Run" },
    { label: "Go to" },
  ];
  const rows = found
    .sort((a, b) => (a.first < b.first ? 1 : -1))
    .map((each) => [
      make("span", { class: each.look.tone }, make("span", { "aria-hidden": "true" }, `${each.look.sign} `), each.what),
      each.detail,
      each.when ? instant(each.when.slice(0, 19)) : "–",
      each.run ? runLink(each.run) : "–",
      make(
        "span",
        { class: "links" },
        make(
          "button",
          { type: "button", class: "plain", onclick: () => pick(at(seconds(each.times[0])), true) },
          "show",
        ),
        each.open &&
          startLink(
            "backfill_bars",
            {
              market: shown.chosen.market,
              interval: RELATION[BASE[shown.chosen.interval]],
              tickers: shown.chosen.symbol,
              start: each.gap.start_time.slice(0, 10),
              end: nextDay(each.gap.end_time),
              reason: `gap: ${each.gap.reason}`,
            },
            "backfill",
          ),
      ),
    ]);
  show(
    "marks",
    table("What happened to these bars", columns, rows, { tall: true }),
    more &&
      make(
        "p",
        { class: "soft" },
        `Only the first ${count(MOST_MARKS)} restated bars are shown; choose fewer bars for the others.`,
      ),
  );
}
