// The status line, and what keeps the notebook's shortcuts away from our fields. The words come from Python, and are set as text.

export default {
  render({ model, el }) {
    const bar = document.createElement("span");
    bar.className = "labs-bar";
    bar.setAttribute("aria-hidden", "true");
    const words = document.createElement("span");
    words.setAttribute("role", "status");
    words.setAttribute("aria-live", "polite");
    el.classList.add("labs-status");
    el.append(words, bar);
    const show = () => {
      words.textContent = model.get("words");
      el.classList.toggle("labs-is-busy", model.get("busy"));
    };
    model.on("change:words change:busy", show);
    show();

    // Letters and arrows that are typed in our fields are not for the notebook: there "r" makes a cell raw, "dd" deletes it.
    // Its shortcuts are caught at the document, before the field gets the key; so this listens one step earlier.
    const keepKeys = (event) => {
      const root = el.closest(".labs-explorer");
      if (!root || !root.contains(event.target)) return;
      const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
      event.target.toggleAttribute("data-lm-suppress-shortcuts", plain);
    };
    window.addEventListener("keydown", keepKeys, true);
    return () => window.removeEventListener("keydown", keepKeys, true);
  },
};
