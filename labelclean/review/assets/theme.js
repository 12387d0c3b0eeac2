// The chosen theme, set before the first paint so that nothing flashes.
try {
  const chosen = localStorage.getItem("labelclean.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is switched off: the system's theme it is.
}
