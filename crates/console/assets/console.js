// What the console's pages do beyond plain HTML. Every page works without it.
"use strict";

// A choice that a button sends without scripts.
for (const field of document.querySelectorAll("[data-submit]")) {
  field.addEventListener("change", () => field.form.submit());
}
for (const button of document.querySelectorAll("[data-no-script]")) {
  button.hidden = true;
}

// Copies the text of an element.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

// A board that follows the locks: an event says that they are others, the board is fetched anew.
for (const board of document.querySelectorAll("[data-events]")) {
  const events = new EventSource(board.dataset.events);
  let shown = null;
  events.addEventListener("locks", async (event) => {
    const known = shown;
    shown = event.data;
    if (known === null || known === event.data) return;
    const answer = await fetch(board.dataset.board, { credentials: "same-origin" });
    if (answer.ok && !answer.redirected) board.innerHTML = await answer.text();
  });
  window.addEventListener("pagehide", () => events.close());
}
