// Starts the review in a page that the server sent.

import { Review } from "./app.js";
import { ServerBackend } from "./server_backend.js";

// The token is in the cookie by now: it need not stay in the address, the history or a screenshot.
history.replaceState(null, "", location.pathname + location.hash);

const serverFacts = JSON.parse(document.documentElement.dataset.facts);
new Review(serverFacts, new ServerBackend(serverFacts)).start();
