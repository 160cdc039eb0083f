// Stream: which feeds run and how they do, what they missed, what nobody could store; beside each the command that acts.

import {
  ask,
  asOf,
  begin,
  choose,
  count,
  empty,
  filling,
  headlineOf,
  instant,
  make,
  parameters,
  pill,
  plural,
  remember,
  show,
  table,
} from "./common.js";
import { findings } from "./findings.js";

const LEVELS = ["1m", "5m", "15m", "30m", "1h", "4h", "1d"];
const MOST_GAPS = 200;
const MOST_LETTERS = 100;
const MOST_CANDLES = 50;
const FINDINGS = "api/v1/stream/findings";
const asked = parameters();

const code = (...words) => make("code", {}, words.join(" "));

/** A word as a shell takes it: in quotes where it has signs that a shell would read. */
const word = (text) => (/^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

const at = (micros) => (micros ? instant(new Date(micros / 1000).toISOString()) : "–");
const fresh = (text) => instant(text?.replace(/\.\d+/, ""));

/** 12.3 s, 4 min, 3 h, 2 days. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const units = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
  ];
  const unit = units.find(([width]) => seconds >= 2 * width);
  return unit ? `${Math.round(seconds / unit[0])} ${unit[1]}` : `${Math.round(seconds * 10) / 10} s`;
}

async function load() {
  const [state, wrong] = await Promise.all([ask("api/v1/stream"), ask(FINDINGS)]);
  asOf(state.now);
  show("verdict", headlineOf(wrong.headline));
  filling("findings", () => findings("findings", {}, wrong, FINDINGS));
  show("streams", streams(state));
  show("feeds", feeds(state));
  filling("gaps", gaps);
  filling("letters", letters);
  filling("candles", candles);
}

function streams(state) {
  if (!state.streams.length)
    return empty("No stream runs.", "Start one: ", code("hypertape stream run jsonl:ticks.jsonl"), ".");
  const columns = [
    { label: "Stream", kind: "h" },
    { label: "State" },
    { label: "Ticks/s", kind: "n", title: "Over the last two seconds" },
    { label: "Lag", kind: "n", title: "How old the newest tick is" },
    { label: "Queue", kind: "n", title: "Ticks that wait for the database" },
    { label: "Spool", kind: "n", title: "Bytes that wait on the stream’s disk" },
    { label: "Started (UTC)", kind: "t" },
    { label: "What acts", kind: "w" },
  ];
  const rows = state.streams.map(({ name, host, alive, beat_at: beat, started_at: started, figures }) => {
    const writer = figures.writer ?? {};
    return [
      make("span", { title: `on ${host}` }, name),
      alive ? pill("good", "alive") : pill("bad", "silent", `last heard ${fresh(beat)} UTC`),
      figures.rate === undefined ? "–" : String(figures.rate),
      duration(figures.lag_seconds),
      count(writer.queued),
      writer.spool_bytes
        ? make("span", { class: "bad", title: writer.away ?? "" }, `✕ ${count(writer.spool_bytes)}`)
        : count(writer.spool_bytes),
      fresh(started),
      acting(alive, host, writer),
    ];
  });
  const waiting = state.pending_ranges
    ? make(
        "p",
        {},
        `${plural(state.pending_ranges, "range")} of ticks wait for their candles: `,
        code("hypertape stream refresh"),
      )
    : null;
  return [table("Streams", columns, rows), waiting];
}

function acting(alive, host, writer) {
  if (!alive && writer.spool_bytes) return ["on ", host, ": ", code("hypertape stream replay --spool")];
  if (!alive) return code("hypertape stream run FEED…");
  return writer.spool_bytes ? [code("hypertape db status"), " – stored by itself once it is back"] : code("hypertape stream status");
}

function feeds(state) {
  const found = state.streams.flatMap(({ alive, figures }) =>
    Object.entries(figures.feeds ?? {}).map(([name, feed]) => ({ name, alive, ...feed })),
  );
  if (!found.length) return make("p", { class: "soft" }, "No feed is read at this moment.");
  const columns = [
    { label: "Feed", kind: "h" },
    { label: "State" },
    { label: "Newest tick (UTC)", kind: "t" },
    { label: "Last heard (UTC)", kind: "t", title: "When ticks last arrived" },
    { label: "Calendar", title: "When it should speak" },
    { label: "Ticks", kind: "n" },
    { label: "No ticks", kind: "n", title: "Records that are no ticks: dead letters" },
    { label: "Gaps", kind: "n", title: "Found since the stream started" },
    { label: "Filled", kind: "n" },
    { label: "What acts", kind: "w" },
  ];
  const rows = found.map((feed) => [
    feed.name,
    feedState(feed),
    at(feed.last_tick),
    at(feed.heard_at),
    feed.calendar ?? "–",
    count(feed.ticks),
    count(feed.rejected),
    count(feed.gaps),
    count(feed.filled),
    code("hypertape stream gaps --source", word(feed.name)),
  ]);
  return table("Feeds", columns, rows);
}

function feedState({ alive, state, error }) {
  if (state === "failed") return pill("bad", "failed", error);
  if (!alive) return pill("unknown", "unknown", "its stream is silent");
  return state === "ended" ? pill("note", "ended") : pill("good", state ?? "running");
}

async function gaps() {
  const { gaps: found } = await ask("api/v1/stream/gaps", { limit: MOST_GAPS });
  if (!found.length) {
    show("gaps", make("p", { class: "soft" }, "None is open: no feed knows of anything that it missed."));
    return;
  }
  const columns = [
    { label: "Feed", kind: "h" },
    { label: "Symbol" },
    { label: "Reason" },
    { label: "From (UTC)", kind: "t" },
    { label: "To (UTC)", kind: "t" },
    { label: "After number", kind: "n" },
    { label: "Before number", kind: "n" },
    { label: "What acts", kind: "w" },
  ];
  const rows = found.map((gap) => [
    gap.source,
    gap.symbol ?? "all",
    gap.reason,
    fresh(gap.start_time),
    gap.end_time ? fresh(gap.end_time) : make("span", { class: "bad" }, "lasts"),
    gap.last_sequence === null ? "–" : String(gap.last_sequence),
    gap.first_sequence === null ? "–" : String(gap.first_sequence),
    [
      gap.reason === "sequence"
        ? code("hypertape stream replay FILE --source", word(gap.source))
        : code("hypertape stream replay FILE --source", word(gap.source), "--closes", gap.gap_id),
      " or, where nobody can send it again, ",
      code("hypertape stream gaps --close", gap.gap_id, "--reason TEXT"),
    ],
  ]);
  show("gaps", table("Gaps", columns, rows, { tall: true }), more(found, MOST_GAPS, "hypertape stream gaps"));
}

async function letters() {
  const { dead_letters: found } = await ask("api/v1/stream/dead-letters", { limit: MOST_LETTERS });
  if (!found.length) {
    show("letters", make("p", { class: "soft" }, "None: everything that came is stored."));
    return;
  }
  const columns = [
    { label: "Feed", kind: "h" },
    { label: "Kind" },
    { label: "Last (UTC)", kind: "t" },
    { label: "Times", kind: "n" },
    { label: "Why", kind: "w" },
    { label: "Record", kind: "w" },
    { label: "What acts", kind: "w" },
  ];
  const rows = found.map((letter) => [
    letter.source,
    letter.kind,
    fresh(letter.last_at),
    count(letter.times),
    letter.error,
    make("span", { class: "mono" }, letter.record.length > 200 ? `${letter.record.slice(0, 200)}…` : letter.record),
    letter.kind === "record"
      ? code("hypertape stream dead-letters --settle", letter.letter_id)
      : code("hypertape stream replay --dead-letter"),
  ]);
  show(
    "letters",
    table("Dead letters", columns, rows, { tall: true }),
    more(found, MOST_LETTERS, "hypertape stream dead-letters"),
  );
}

const more = (found, most, command) =>
  found.length < most ? null : make("p", { class: "soft" }, `The first ${most}. All of them: `, code(command));

async function candles() {
  const { symbols } = await ask("api/v1/stream/symbols");
  if (!symbols.length) {
    show("candles-form");
    show("candles", empty("No feed has brought a symbol yet.", "Its first tick makes it known."));
    return;
  }
  const chosen = {
    symbol: symbols.find((each) => each.ticker === asked.symbol) ?? symbols[0],
    level: LEVELS.includes(asked.timeframe) ? asked.timeframe : "1m",
  };
  const draw = () => filling("candles", () => drawCandles(chosen));
  const onSymbol = (event) => {
    chosen.symbol = symbols.find((each) => String(each.symbol_id) === event.target.value);
    draw();
  };
  const onLevel = (event) => {
    chosen.level = event.target.value;
    draw();
  };
  const options = symbols.map((each) => [each.symbol_id, each.ticker]);
  show(
    "candles-form",
    choose("Symbol", "symbol", options, chosen.symbol.symbol_id, onSymbol),
    choose("Width", "timeframe", LEVELS.map((each) => [each, each]), chosen.level, onLevel),
  );
  await drawCandles(chosen);
}

async function drawCandles({ symbol, level }) {
  const answer = await ask(`api/v1/ohlc/${symbol.symbol_id}`, { timeframe: level, limit: MOST_CANDLES });
  remember({ symbol: symbol.ticker, timeframe: level });
  show("candles-say", `${symbol.ticker}, ${level}, the newest first`);
  if (!answer.candles.length) {
    show(
      "candles",
      empty("There is no candle of this width yet.", "Bring them up to date: ", code("hypertape stream refresh"), "."),
    );
    return;
  }
  const columns = [
    { label: "Opens (UTC)", kind: "t" },
    ...["Open", "High", "Low", "Close", "Volume", "Ticks"].map((label) => ({ label, kind: "n" })),
  ];
  const rows = answer.candles
    .toReversed()
    .map((each) => [
      fresh(each.open_time),
      each.open,
      each.high,
      each.low,
      each.close,
      each.volume,
      count(each.tick_count),
    ]);
  show("candles", table("Candles", columns, rows, { tall: true }));
}

begin();
await filling("streams", load);
