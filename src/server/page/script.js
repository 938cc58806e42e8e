"use strict";
// Copies commands, and shows a filter's choice at once. Without it every form has its button, and every command can be marked.
(() => {
  for (const button of document.querySelectorAll("button.copy")) {
    const text = document.getElementById(button.dataset.copies);
    const told = button.parentElement.querySelector(".copied");
    if (!text) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text.textContent);
        told.textContent = "Copied.";
      } catch {
        // A browser that gives no clipboard: what is marked can be copied by hand.
        const range = document.createRange();
        range.selectNodeContents(text);
        const selection = window.getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        told.textContent = "Marked: copy it with the keyboard.";
      }
    });
  }
  // An address without the filters that ask for nothing is one that can be shared.
  for (const form of document.querySelectorAll('form[method="get"]')) {
    form.addEventListener("submit", () => {
      for (const field of form.elements) if (field.name && field.value === "") field.disabled = true;
    });
  }
  window.addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll("form[method=get] :disabled")) field.disabled = false;
  });
})();
