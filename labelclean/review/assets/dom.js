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

const ANNOUNCED = 8; // the last so many lines stay

// A line of its own each: what follows at once does not take the place of what was not spoken yet.
export function announce(text) {
  const place = byId("announcer");
  place.append(make("p", {}, text));
  while (place.children.length > ANNOUNCED) place.firstElementChild.remove();
}

export function showBanner(text) {
  const banner = byId("banner");
  banner.textContent = text;
  banner.hidden = text === "";
}

// Narrow windows, as in narrow.css.
export const oneColumn = matchMedia("(max-width: 900px)");
export const isOneColumn = () => oneColumn.matches;

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;

export const numberText = (value) => value.toLocaleString("en");

// A chance never reads as certain when it is not.
export function chanceText(chance) {
  if (chance === null) return "not judged";
  if (chance > 0.995 && chance < 1) return "> 99 %";
  if (chance < 0.005 && chance > 0) return "< 1 %";
  return percent(chance);
}

const TINY = 64; // px: images up to this are shown with their pixels

// An image whose pixels stay sharp squares where it is smaller than its place.
export function picture(address, properties) {
  const image = make("img", { decoding: "async", draggable: false, ...properties });
  showPixels(image);
  image.addEventListener("error", () => image.classList.add("broken"));
  image.addEventListener("load", () => image.classList.remove("broken"));
  if (address) image.src = address;
  return image;
}

export function showPixels(image) {
  const mark = () => image.classList.toggle("pixels", image.naturalWidth <= TINY && image.naturalHeight <= TINY);
  if (image.complete) mark();
  image.addEventListener("load", mark);
}

// The least side that the server makes which fills a place of that size on this screen.
export function sideFor(facts, px) {
  const wanted = px * devicePixelRatio * 0.9; // a tenth larger is not seen
  return facts.sides.find((side) => side >= wanted) ?? facts.sides.at(-1);
}

export const counted = (count, one, many = `${one}s`) => `${numberText(count)} ${count === 1 ? one : many}`;

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
