"use strict";
// Asks before what can't be taken back. Without scripts the server takes the form at once.
document.addEventListener("submit", (event) => {
  const text = event.submitter && event.submitter.dataset.confirm;
  if (text && !window.confirm(text)) event.preventDefault();
});
