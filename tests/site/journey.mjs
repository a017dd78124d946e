// A reader's way through live pages, in a browser that Playwright does not drive as it is.
//
// node journey.mjs firefox|webkit ADDRESS NODE_MODULES COMMAND...
// COMMAND starts Firefox, which is driven over WebDriver BiDi; or WebKitWebDriver, which is asked over
// classic WebDriver. What was seen on the way is written as one line of JSON.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [kind, address, modules, program, ...rest] = process.argv.slice(2);
const LONGEST = 600_000;

// These run in the page, and are given a helper.
const STEPS = {
  async runAll(help) {
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    await help.press("Run this page");
    const said = await help.status(/^Python is ready|not start|went wrong|could not/);
    const ready = seconds();
    if (!said.startsWith("Python is ready")) return { said };
    await help.press("Run all");
    await help.until(() => document.querySelector(".live-state")?.textContent.startsWith("ran"));
    const first = seconds();
    const last = await help.status(/have run|ended with an error|went wrong/);
    const stopped = document.querySelectorAll(".traceback, .stderr").length;
    return { said: last, tracebacks: stopped, ready, first, last: seconds() };
  },
  async stop(help) {
    await help.write("div.cell .cm-content", "while True:\n    pass");
    await help.press("Run cell 1");
    await help.status(/^Running cell 1/);
    await help.press("Stop");
    const said = await help.status(/^Stopped|not start|went wrong/);
    await help.write("div.cell .cm-content", "6 * 7");
    await help.press("Run cell 1");
    await help.status(/^Cell 1 has run/);
    return { said, shown: document.querySelector("div.cell .text_plain").textContent.trim() };
  },
  async prove(help) {
    await help.press("Prove");
    const said = await help.status(/[Pp]roven|wrong|not start/);
    return { said, result: document.querySelector(".prove-result").textContent };
  },
};

function helper() {
  const named = (name) =>
    [...document.querySelectorAll("button")].find(
      (button) =>
        !button.disabled &&
        name === (button.getAttribute("aria-label") ?? button.textContent).trim(),
    );
  const until = async (found) => {
    for (;;) {
      const value = found();
      if (value) return value;
      await new Promise((done) => setTimeout(done, 20));
    }
  };
  return {
    until,
    press: async (name) => (await until(() => named(name))).click(),
    status: (pattern) =>
      until(() => {
        const text = document.querySelector(".live-status")?.textContent ?? "";
        return pattern.test(text) && text;
      }),
    write: async (selector, text) => {
      document.querySelector(selector).focus();
      document.execCommand("selectAll");
      document.execCommand("insertText", false, text);
    },
  };
}

const inPage = (step) =>
  `(${STEPS[step].toString().replace(/^async \w+/, "async function")})((${helper})())`;

async function firefox() {
  const { default: puppeteer } = await import(
    pathToFileURL(join(modules, "puppeteer-core", "lib", "puppeteer", "puppeteer-core.js"))
  );
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: program,
    args: rest,
    protocolTimeout: LONGEST,
  });
  const page = await browser.newPage();
  const complaints = [];
  page.on("console", (told) => {
    if (told.type() === "error") complaints.push(told.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  return {
    complaints,
    open: (name) => page.goto(`${address}${name}.html`),
    run: (step) => page.evaluate(inPage(step)),
    close: () => browser.close(),
  };
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function webkit() {
  const port = await freePort();
  const home = mkdtempSync(join(tmpdir(), "webkit-"));
  const driver = spawn(program, [...rest, `--port=${port}`], {
    detached: true, // so that what it starts is ended with it
    env: { ...process.env, XDG_DATA_HOME: home, XDG_CACHE_HOME: home },
  });
  const ended = new Promise((resolve) => driver.on("exit", resolve).on("error", resolve));
  const ask = async (method, path, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}/session${path}`, {
      method,
      body: body && JSON.stringify(body),
    });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`WebKitWebDriver: ${value.error}: ${value.message}`);
    return value;
  };
  const begin = async (tries = 50) => {
    try {
      return await ask("POST", "", { capabilities: {} });
    } catch (error) {
      if (error.cause?.code !== "ECONNREFUSED" || !tries) throw error;
      await new Promise((done) => setTimeout(done, 100));
      return begin(tries - 1);
    }
  };
  const close = async (session) => {
    if (session) await ask("DELETE", `/${session}`);
    process.kill(-driver.pid);
    await ended;
    rmSync(home, { recursive: true, force: true });
  };
  let session;
  try {
    session = (await begin()).sessionId;
  } catch (error) {
    await close();
    throw error;
  }
  await ask("POST", `/${session}/timeouts`, { script: LONGEST });
  const script = (step) =>
    `const done = arguments[0]; ${inPage(step)}.then(done, (error) => done({ said: String(error) }));`;
  return {
    complaints: [],
    open: (name) => ask("POST", `/${session}/url`, { url: `${address}${name}.html` }),
    run: (step) => ask("POST", `/${session}/execute/async`, { script: script(step), args: [] }),
    close: () => close(session),
  };
}

const browser = await { firefox, webkit }[kind]();
try {
  const seen = {};
  await browser.open("chapters/layers/linear");
  seen.linear = await browser.run("runAll");
  seen.stopped = await browser.run("stop");
  await browser.open("chapters/layers/batchnorm1d");
  seen.batchnorm1d = await browser.run("runAll");
  await browser.open("chapters/your_gradient");
  seen.proven = await browser.run("prove");
  console.log(JSON.stringify({ ...seen, complaints: browser.complaints }));
} finally {
  await browser.close();
}
