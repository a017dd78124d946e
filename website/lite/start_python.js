/* Starts Python for Jupyter's kernel, from the files that the whole site shares.

The kernel loads this script in the place of pyodide.js, and calls loadPyodide with the shared
folder as indexURL. */

const QUIET = `
import logging

# "Matplotlib is building the font cache" is no error, but would stand in a red box.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
`;

self.loadPyodide = async (options) => {
  importScripts(`${options.indexURL}pyodide.js`); // puts its own loadPyodide in this one's place
  const python = await self.loadPyodide(options);
  python.runPython(QUIET);
  return python;
};
