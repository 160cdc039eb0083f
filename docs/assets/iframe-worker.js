// Search from the disk. Browsers start no worker for a file:// page, so a hidden frame runs the worker's script
// instead: what is posted to one side is a message event on the other.
if (window.location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inside = frame.contentWindow
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      const script = inside.document.createElement("script")
      script.src = address
      this.started = new Promise((done) => { script.onload = done })
      this.post = (data) => inside.dispatchEvent(new MessageEvent("message", { data }))
      inside.document.body.append(script)
    }

    postMessage(data) {
      this.started.then(() => this.post(data))
    }
  }
}
