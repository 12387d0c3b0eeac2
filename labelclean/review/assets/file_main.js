// Starts the review in a page that is one file.

import { byId } from "./dom.js";
import { Review } from "./app.js";
import { FileBackend } from "./file_backend.js";

const fileFacts = JSON.parse(byId("facts").textContent);
const fileBackend = new FileBackend(fileFacts);

byId("reviewer").value = fileBackend.reviewer;
byId("reviewer").addEventListener("input", (event) => {
  fileBackend.reviewer = event.target.value.trim();
});

byId("download").addEventListener("click", () => {
  const address = URL.createObjectURL(fileBackend.csv());
  const link = document.createElement("a");
  link.href = address;
  link.download = "decisions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
});

// The figures are those of the whole report: each says how many of its images are in this file.
for (const figure of document.querySelectorAll("#summary [data-filter]")) {
  const here = fileBackend.count(Object.fromEntries(new URLSearchParams(figure.dataset.filter)));
  if (here) {
    const name = figure.getAttribute("aria-label") ?? figure.textContent.trim();
    if (figure.dataset.filter) figure.setAttribute("aria-label", `${name}: ${here} in this file`);
    if (figure.matches("button")) figure.title = `${here} in this file`;
    else figure.querySelector("title").textContent += `; ${here} in this file`;
  } else {
    for (const name of ["role", "tabindex", "data-filter"]) figure.removeAttribute(name);
    if (figure.matches("button")) figure.disabled = true;
    else figure.removeAttribute("aria-label");
  }
}

new Review(fileFacts, fileBackend).start();
