// Sends invoices by the client that openapi-generator made, as many at once as it is told to.
"use strict";

const http = require("node:http");

const told = JSON.parse(process.argv[2]);
const { ApiClient, Invoice, InvoiceApi, InvoiceItem } = require(told.client);

const client = new ApiClient(told.url);
client.authentications.appKey.apiKey = told.appKey;
client.authentications.appToken.apiKey = told.appToken;
if (told.keepAlive) {
  client.requestAgent = new http.Agent({ keepAlive: true, maxSockets: told.concurrency });
}
const api = new InvoiceApi(client);

function invoiceOf(number) {
  const items = told.lines.map((line) => new InvoiceItem(...line));
  const invoice = new Invoice(
    "Output",
    told.issued,
    "NFe-" + String(number).padStart(9, "0"),
    String(items.reduce((sum, item) => sum + item.price * item.quantity, 0)),
    items,
  );
  invoice.invoiceUrl = "https://nfe.example.com.br/danfe";
  return invoice;
}

async function sendAll() {
  let last = 0;
  async function work() {
    while (last < told.invoices) {
      const number = (last += 1);
      const sent = await api.notifyInvoiceWithHttpInfo(
        `${1172452900000 + number}-01`,
        invoiceOf(number),
      );
      if (sent.response.status !== 200) throw new Error(String(sent.response.status));
    }
  }
  await Promise.all(Array.from({ length: told.concurrency }, work));
}

async function main() {
  await sendAll();
  const cpu = process.cpuUsage();
  const began = process.hrtime.bigint();
  await sendAll();
  const wall = Number(process.hrtime.bigint() - began) / 1e9;
  const spent = process.cpuUsage(cpu);
  console.log(JSON.stringify({ wall, cpu: (spent.user + spent.system) / 1e6 }));
  process.exit(0);
}

main().catch((error) => {
  // Not the error itself: it holds the whole request.
  console.error(error.status ?? error.stack);
  process.exit(1);
});
