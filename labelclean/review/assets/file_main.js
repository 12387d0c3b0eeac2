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

new Review(fileFacts, fileBackend).start();
