// Browsers start no worker from a disk: there the search's worker runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = null;
      this.onerror = null;
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.documentElement.append(frame);
      const inner = frame.contentWindow;
      const base = new URL(url, document.baseURI);
      inner.postMessage = (data) => {
        const event = new MessageEvent("message", { data: structuredClone(data) });
        setTimeout(() => {
          this.dispatchEvent(event);
          this.onmessage?.(event);
        });
      };
      const load = (source) =>
        new Promise((done, failed) => {
          const script = inner.document.createElement("script");
          script.src = new URL(source, base);
          script.onload = done;
          script.onerror = failed;
          inner.document.documentElement.append(script);
        });
      inner.importScripts = (...sources) => Promise.all(sources.map(load));
      this.loaded = load(base);
      this.inner = inner;
      this.frame = frame;
    }

    async postMessage(data) {
      const copy = structuredClone(data);
      await this.loaded;
      await new Promise((later) => setTimeout(later)); // as a worker: never within the caller
      this.inner.dispatchEvent(new this.inner.MessageEvent("message", { data: copy }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
