// Which page an address is, and going from one to the next without loading anew.

/** Routes: `{pattern: RegExp, page: key of the navigation, open(root, context, ...groups)}`. */
export class Router {
  #routes;
  #root;
  #context;
  #abort = new AbortController();

  constructor(root, routes, context) {
    this.#root = root;
    this.#routes = routes;
    this.#context = { ...context, go: (address) => this.go(address) };
    addEventListener("popstate", () => this.#show());
    document.addEventListener("click", (event) => this.#follow(event));
  }

  start() {
    this.#show();
  }

  go(address) {
    history.pushState(null, "", address);
    this.#show();
    scrollTo(0, 0);
    // Whoever hears the page has to hear that it is another one.
    (this.#root.querySelector("h1") ?? this.#root).focus({ preventScroll: true });
  }

  #follow(event) {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const place = new URL(link.href);
    if (link.target || link.hasAttribute("download") || place.origin !== location.origin || place.hash) return;
    if (!this.#routes.some((route) => route.pattern.test(place.pathname))) return;
    event.preventDefault();
    this.go(place.pathname + place.search);
  }

  #show() {
    this.#abort.abort(); // what the last page listens to and waits for
    this.#abort = new AbortController();
    const route = this.#routes.find(({ pattern }) => pattern.test(location.pathname));
    const groups = route.pattern.exec(location.pathname).slice(1).map(decoded);
    document.querySelectorAll("nav a[data-page]").forEach((link) => {
      if (link.dataset.page === route.page) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    });
    this.#root.replaceChildren();
    route.open(this.#root, { ...this.#context, signal: this.#abort.signal }, ...groups);
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no UTF-8: then it is what it looks like
  }
}
