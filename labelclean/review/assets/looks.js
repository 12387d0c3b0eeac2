// The theme: the system's, light or dark.

import { announce, byId } from "./dom.js";

const THEMES = ["system", "light", "dark"];
const THEME_SIGNS = { system: "◐", light: "☀", dark: "☾" };

const currentTheme = () => document.documentElement.dataset.theme ?? "system";

export function watchTheme() {
  const button = byId("theme");
  const label = () => {
    button.textContent = THEME_SIGNS[currentTheme()];
    button.setAttribute("aria-label", `Theme: ${currentTheme()}`);
    button.title = `Theme: ${currentTheme()}`;
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(currentTheme()) + 1) % THEMES.length];
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("labelclean.theme", next);
    } catch {
      // Storage is switched off: it holds until the page is closed.
    }
    label();
    announce(`Theme: ${next}`);
  });
  label();
}
