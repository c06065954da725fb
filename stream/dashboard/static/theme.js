// The colours: as the system has them, light, or dark. Loaded before the first paint, hence no module.

(() => {
  const key = "segstream.theme";
  const order = ["system", "light", "dark"];
  const root = document.documentElement;

  function stored() {
    try {
      return order.includes(localStorage.getItem(key)) ? localStorage.getItem(key) : "system";
    } catch {
      return "system"; // storage is switched off: then the choice lasts as long as the page
    }
  }

  function apply(theme) {
    root.dataset.theme = theme;
    dispatchEvent(new Event("themechange"));
  }

  function next() {
    const theme = order[(order.indexOf(root.dataset.theme) + 1) % order.length];
    try {
      localStorage.setItem(key, theme);
    } catch {
      // as above
    }
    apply(theme);
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(root.dataset.theme));
  apply(stored());
  window.segstreamTheme = { next };
})();
