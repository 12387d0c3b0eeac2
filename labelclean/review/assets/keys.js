// The keys: which command each one stands for, in the review and in the zoom.

const KEYS = {
  a: "accept", g: "keep", o: "other", x: "exclude", u: "unsure", z: "undo",
  p: "back", n: "on", ArrowLeft: "back", ArrowRight: "on", ArrowUp: "up", ArrowDown: "down",
  " ": "select", e: "pair", b: "bulk", d: "copies", l: "learn", Escape: "clear", PageUp: "page-back", PageDown: "page-on",
  Home: "first", End: "last", "/": "search", Enter: "zoom",
};
const WITH_SHIFT = {
  ArrowLeft: "extend-back", ArrowRight: "extend-on", ArrowUp: "extend-up", ArrowDown: "extend-down",
};
// Held down, these would fall on one image after the other.
const ONCE = ["accept", "keep", "exclude", "unsure", "undo", "other", "bulk", "copies", "learn"];
const IN_ZOOM = ["accept", "keep", "other", "exclude", "unsure", "undo", "back", "on", "copies", "learn"];

export const keyOf = (event) => (event.key.length === 1 ? event.key.toLowerCase() : event.key);

const isUndo = (event) =>
  (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";

// The command of an event: a name of the review's commands, "class 1" to "class 9", "" for a key
// that must do nothing, null for a key that is not the review's.
export function commandOf(event, { inZoom = false } = {}) {
  if (event.altKey || event.isComposing) return null;
  if (isUndo(event)) return event.repeat ? "" : "undo";
  if (event.ctrlKey || event.metaKey) return null;
  const key = keyOf(event);
  let name = (event.shiftKey && WITH_SHIFT[key]) || KEYS[key] || null;
  if (/^[1-9]$/.test(key)) name = `class ${key}`;
  if (inZoom && !IN_ZOOM.includes(name) && !name?.startsWith("class ")) return null;
  return event.repeat && (ONCE.includes(name) || name?.startsWith("class ")) ? "" : name;
}
