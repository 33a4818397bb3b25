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

// An upload that shows how far it is. The form alone works too: the endpoint then leads to the next page.
for (const form of document.querySelectorAll("[data-upload]")) {
  const [bar, said] = [form.querySelector("progress"), form.querySelector("[role=alert]")];
  const button = form.querySelector("button");
  const refused = (words) => {
    [bar.hidden, said.hidden, button.disabled] = [true, false, false];
    said.textContent = words;
  };
  form.addEventListener("submit", (event) => {
    const file = form.elements.file.files[0];
    if (!file) return;
    event.preventDefault();
    const sent = new FormData();
    for (const [name, value] of new FormData(form)) {
      if (typeof value === "string" && name !== "success_action_redirect") sent.append(name, value);
    }
    if (file.type) sent.append("Content-Type", file.type);
    sent.append("file", file);
    const request = new XMLHttpRequest();
    request.upload.addEventListener("progress", ({ loaded, total }) => { bar.value = loaded / total; });
    request.addEventListener("error", () => refused("The connection broke off. Nothing was stored."));
    request.addEventListener("load", () => {
      if (request.status < 300) return location.assign(form.dataset.next);
      const answer = new DOMParser().parseFromString(request.responseText, "text/xml");
      refused(answer.querySelector("Message")?.textContent || `The server answered ${request.status}.`);
    });
    [bar.value, bar.hidden, said.hidden, button.disabled] = [0, false, true, true];
    request.open("POST", form.getAttribute("action"));
    request.send(sent);
  });
}
