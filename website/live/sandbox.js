// The page hands over the worker's code and a port; the worker does the rest.
// Removing the frame ends the worker, whatever it is doing.
//
// Opened in any other way than in that frame, this page would have the site's own origin, and any
// other site that opens it could hand over a worker. Then it does nothing.
if (self.origin === "null") {
  addEventListener("message", ({ data, ports }) => {
    const worker = new Worker(URL.createObjectURL(data.worker));
    worker.onerror = (error) => ports[0].postMessage({ failed: error.message });
    worker.postMessage(data.told, ports);
  });
}
