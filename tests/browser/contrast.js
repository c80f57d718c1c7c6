// [words, contrast with what is behind them] of each text that is to be seen in an element, as WCAG 2.2 computes it. A colour
// that is not opaque lies on what is below it; words of a drawing lie on the box of their hop.
root => {
  const parsed = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.e-]+/g).map(Number);
    return colour.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const over = ([r, g, b, a], below) => [...[r, g, b].map((one, at) => one * a + below[at] * (1 - a)), 1];
  const fill = (node) => parsed(getComputedStyle(node).fill);
  const background = (node) => {
    if (node === null) return [255, 255, 255, 1];
    const own = parsed(getComputedStyle(node).backgroundColor);
    return own[3] === 1 ? own : over(own, background(node.parentElement));
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((one) => (one /= 255) <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const ofText = (node) => {
    const drawn = node.closest("svg");
    if (!drawn) {
      const below = background(node);
      return contrast(over(parsed(getComputedStyle(node).color), below), below);
    }
    const flag = node.matches(".labs-flag-words");
    const box = node.closest(".labs-hop")?.querySelector(flag ? ".labs-flag" : ".labs-box");
    const below = box && getComputedStyle(box).fill !== "none" ? over(fill(box), background(drawn)) : background(drawn);
    return contrast(over(fill(node), below), below);
  };
  const says = (node) => [...node.childNodes].some((one) => one.nodeType === Node.TEXT_NODE && one.data.trim());
  return [...root.querySelectorAll("*")]
    .filter((node) => says(node) && !node.matches("title, style, option"))
    .filter((node) => node.checkVisibility() && node.getClientRects().length)
    .map((node) => [node.textContent.trim().slice(0, 60), ofText(node)]);
}
