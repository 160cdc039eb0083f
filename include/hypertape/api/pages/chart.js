// The Ticker page's chart: candles, volume, averages, signs, and a cross that mouse and keyboard move.

import {
  CandlestickSeries,
  CrosshairMode,
  HistogramSeries,
  LineSeries,
  LineStyle,
  createChart,
  createSeriesMarkers,
} from "./vendor/lightweight-charts.mjs";
import { byId, colour, instant, make, number, percent, pill, show } from "./common.js";
import { conditionOf, word } from "./condition.js";
import { howToAsk, origin } from "./origin.js";
import { at, daily, keyOf, seconds, shown, timeOf } from "./series.js";

let chart = null;
let candles = null;
let marker = null;
let picked = -1;
let signs = [];
let told = null;

/** Draw the bars of `shown` with their volume and averages. */
export function draw() {
  chart?.remove();
  [signs, told] = [[], null];
  const place = byId("chart");
  const [ink, line, up, down] = ["soft", "line", "up", "down"].map(colour);
  chart = createChart(place, {
    autoSize: true,
    layout: { background: { color: colour("card") }, textColor: ink, fontSize: 12, attributionLogo: false },
    grid: { vertLines: { color: line, style: LineStyle.Dotted }, horzLines: { color: line, style: LineStyle.Dotted } },
    crosshair: { mode: CrosshairMode.Normal },
    rightPriceScale: { borderColor: line },
    timeScale: { borderColor: line, timeVisible: !daily(), secondsVisible: false },
    localization: { locale: "en-GB", priceFormatter: (value) => number(Number(value.toPrecision(6))) },
  });
  candles = chart.addSeries(CandlestickSeries, {
    upColor: "rgba(0, 0, 0, 0)",
    borderUpColor: up,
    wickUpColor: up,
    downColor: down,
    borderDownColor: down,
    wickDownColor: down,
  });
  candles.setData(
    shown.bars.map((bar) => ({
      time: timeOf(bar),
      open: bar.open,
      high: bar.high,
      low: bar.low,
      close: bar.close,
      ...(bar.provisional && { borderColor: colour("soft"), wickColor: colour("soft") }),
    })),
  );
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.24 } });
  const volume = chart.addSeries(HistogramSeries, {
    priceScaleId: "volume",
    lastValueVisible: false,
    priceLineVisible: false,
    priceFormat: { type: "volume" },
  });
  volume.setData(
    shown.bars.map((bar) => ({
      time: timeOf(bar),
      value: bar.volume,
      color: `${bar.close >= bar.open ? up : down}88`,
    })),
  );
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
  for (const each of shown.chosen.averages) {
    const average = chart.addSeries(LineSeries, {
      color: colour(`ma${each}`),
      lineWidth: each >= 100 ? 2 : 1,
      lastValueVisible: false,
      priceLineVisible: false,
      crosshairMarkerVisible: false,
    });
    average.setData(
      shown.bars
        .filter((bar) => bar[`ma${each}`] !== undefined)
        .map((bar) => ({ time: timeOf(bar), value: bar[`ma${each}`] })),
    );
  }
  marker = createSeriesMarkers(candles, []);
  chart.subscribeCrosshairMove(
    (event) => event.sourceEvent && event.time !== undefined && readout(at(secondsOf(event.time)), true),
  );
  chart.subscribeClick((event) => event.time !== undefined && pick(at(secondsOf(event.time)), true));
  if (shown.bars.length > 260)
    chart.timeScale().setVisibleLogicalRange({ from: shown.bars.length - 200, to: shown.bars.length + 3 });
  else chart.timeScale().fitContent();
  place.onkeydown = moved;
}

/** Draw the same again in the colours of now: bars, signs, the stretch that is seen, and the cross. */
export function redraw() {
  if (!chart) return;
  const [range, kept] = [chart.timeScale().getVisibleLogicalRange(), signs];
  draw();
  sign(kept);
  if (range) chart.timeScale().setVisibleLogicalRange(range);
  if (picked >= 0) cross();
}

const secondsOf = (time) => (typeof time === "number" ? time : seconds(keyOf(time)));

function moved(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
  if (event.key === "Enter") origin(picked);
  else if (event.key === "Home") pick(0);
  else if (event.key === "End") pick(shown.bars.length - 1);
  else if (step) pick(Math.max(0, Math.min(shown.bars.length - 1, picked + step)));
  else return;
  event.preventDefault();
}

/** Put the cross on a bar; `asking` also asks where it came from. */
export function pick(position, asking = false) {
  picked = Math.max(0, position);
  const range = chart.timeScale().getVisibleLogicalRange();
  if (range && (picked < range.from || picked > range.to))
    chart.timeScale().scrollToPosition(picked - shown.bars.length + 20, false);
  cross();
  if (asking) origin(picked);
  else howToAsk();
}

function cross() {
  const bar = shown.bars[picked];
  readout(picked);
  const put = () => shown.bars[picked] === bar && chart.setCrosshairPosition(bar.close, timeOf(bar), candles);
  requestAnimationFrame(() => requestAnimationFrame(put)); // a new chart finds its size after the first of them
}

/** Say what a bar holds. A screen reader is told of bars that keys move to, not of each one a mouse passes. */
function readout(position, byMouse = false) {
  const bar = shown.bars[position];
  if (!bar || bar === told) return;
  told = bar;
  byId("readout").setAttribute("aria-live", byMouse ? "off" : "polite");
  const unit = shown.of.price_unit;
  const field = (name, value) => make("span", {}, name, " ", make("b", {}, value));
  show(
    "readout",
    make("b", {}, instant(bar.time, true), daily() ? "" : " UTC"),
    field("open", number(bar.open)),
    field("high", number(bar.high)),
    field("low", number(bar.low)),
    field("close", number(bar.close)),
    make("span", {}, unit),
    field("volume", number(bar.volume)),
    bar.close_changed !== undefined &&
      field("change", `${bar.close_changed > 0 ? "+" : ""}${percent(bar.close_changed)}`),
    bar.provisional && pill("unknown", "provisional", "its time is not over, or it was still open when it was last asked for"),
    conditionOf(bar) && make("span", {}, "session ", word(conditionOf(bar))),
    ...shown.chosen.averages
      .filter((each) => bar[`ma${each}`] !== undefined)
      .map((each) => field(`ma${each}`, number(Number(bar[`ma${each}`].toPrecision(7))))),
  );
}

/** Show signs at bars: `[{at, sign, shape, side, tone}]`, `at` a position in the bars. */
export function sign(marks) {
  signs = marks;
  marker.setMarkers(
    marks.map(({ at: position, sign: text, shape, side, tone }) => ({
      time: timeOf(shown.bars[position]),
      position: side,
      shape,
      color: colour(tone),
      text,
      size: 0.7,
    })),
  );
}
