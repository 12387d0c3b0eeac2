// The figures in the top bar: how far the review is.

import { byId, numberText, percent } from "./dom.js";

export function showCounters(facts, counter) {
  byId("count-decided").textContent = `${numberText(counter.decided)} / ${numberText(facts.count)}`;
  byId("count-left").textContent = `≈ ${numberText(Math.round(counter.remaining))}`;
  byId("count-precision").textContent = counter.judged
    ? `${percent(counter.wrong / counter.judged)} of ${numberText(counter.judged)}` : "–";
}
