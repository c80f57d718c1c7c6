// The path on the page: what Python has drawn (labs/path/drawing.py), changed in place, and the word about the hop at hand.
// It draws nothing by itself. Whatever came from the cluster is escaped in `html`, or is set as text here.

/** Makes the nodes in `old` like those in `fresh`; what is alike stays, and with it the keyboard's place. */
function patch(old, fresh) {
  const was = [...old.childNodes];
  const now = [...fresh.childNodes];
  now.forEach((node, at) => {
    const there = was[at];
    if (there === undefined) old.append(node);
    else if (there.nodeName !== node.nodeName) there.replaceWith(node);
    else if (node.nodeType === Node.ELEMENT_NODE) {
      patchAttributes(there, node);
      patch(there, node);
    } else if (there.data !== node.data) there.data = node.data;
  });
  was.slice(now.length).forEach((node) => node.remove());
}

function patchAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name); // open: the reader has unfolded it
  }
}

/** The one of the two pictures that is shown has no hidden hops. */
function shown(root, key) {
  return [...root.querySelectorAll("[data-hop]")].find((hop) => hop.dataset.hop === key && hop.getClientRects().length > 0);
}

export default {
  render({ model, el }) {
    const picture = document.createElement("div");
    const hand = document.createElement("div");
    const words = document.createElement("div");
    const command = document.createElement("code");
    const live = document.createElement("style");
    hand.className = "labs-path-hand";
    hand.append(words, command);
    el.classList.add("labs-path-view");
    el.append(live, picture, hand);

    // The copy of this picture that the saved notebook keeps is not wanted beside it, as long as this one is here.
    const name = model.get("name");
    if (name) {
      const copy = `.labs-path-copy-${name}`;
      el.classList.add(`labs-path-live-${name}`);
      live.textContent =
        `.jp-Notebook:has(.labs-path-live-${name}) ${copy}, body:not(:has(.jp-Notebook)) ${copy} { display: none; }`;
    }

    let chosen = "";
    const tell = () => {
      const hop = picture.querySelector(`[data-hop="${chosen}"]`) ?? picture.querySelector(".labs-stops");
      words.textContent = hop ? hop.dataset.words : model.get("hint");
      command.textContent = hop && hop.dataset.command ? `$ ${hop.dataset.command}` : "";
      hand.style.display = picture.firstChild ? "" : "none";
    };
    const choose = (event) => {
      const hop = event.target.closest("[data-hop]");
      if (!hop) return;
      chosen = hop.dataset.hop;
      tell();
    };
    const follow = (event) => {
      const link = event.target.closest("[data-goto]");
      if (link) shown(picture, link.dataset.goto)?.focus();
    };
    const show = () => {
      patch(picture, new DOMParser().parseFromString(model.get("html"), "text/html").body);
      tell();
    };
    picture.addEventListener("pointerover", choose);
    picture.addEventListener("focusin", choose);
    picture.addEventListener("click", follow);
    model.on("change:html", show);
    show();
  },
};
