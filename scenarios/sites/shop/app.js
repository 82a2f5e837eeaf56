// Says in the page how long it took to load.
addEventListener("load", () => {
  const note = document.createElement("p");
  note.id = "loaded";
  note.textContent = `Loaded in ${Math.round(performance.now())} ms.`;
  document.body.append(note);
});
