// Small pieces of the page: elements made without HTML text, announcements, the banner.

export const byId = (id) => document.getElementById(id);

// Text only ever becomes text: no name of a file or a label can turn into markup.
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("aria-") || name === "role" || name.startsWith("data-"))
      element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function announce(text) {
  const place = byId("announcer");
  // The same words twice are spoken twice only if something changes between.
  place.textContent = place.textContent === text ? `${text}\u00a0` : text;
}

export function showBanner(text) {
  const banner = byId("banner");
  banner.textContent = text;
  banner.hidden = text === "";
}

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;

export const numberText = (value) => value.toLocaleString("en");

// A chance never reads as certain when it is not.
export function chanceText(chance) {
  if (chance === null) return "not judged";
  if (chance > 0.995 && chance < 1) return "> 99 %";
  if (chance < 0.005 && chance > 0) return "< 1 %";
  return percent(chance);
}

export function labelName(facts, code) {
  return code < 0 ? "no label" : facts.labels[code];
}

export function decisionText(facts, decision) {
  const name = decision.name ?? "";
  return {
    accept: `accepted: ${name}`,
    keep: `kept: ${name}`,
    other: `other: ${name}`,
    exclude: "excluded",
    unsure: "unsure",
  }[decision.action];
}
