// fhir-kit-client, unmodified, against the gateway: node kit.cjs BASE. Prints `ok NAME` for every scenario that holds; ends with 1 when one does not.
"use strict";
const assert = require("node:assert/strict");
const loaded = require("fhir-kit-client");
const Client = loaded.default ?? loaded;

const SYSTEM = "urn:acid:kit";
const client = new Client({ baseUrl: process.argv[2] });
const patient = (value, more = {}) => ({ resourceType: "Patient", identifier: [{ system: SYSTEM, value }], ...more });
const seen = (subject, value) => ({ resourceType: "Observation", status: "final", code: { text: "收缩压" }, subject: { reference: subject }, valueQuantity: { value, unit: "mmHg" } });
const ids = (bundle, mode = "match") => (bundle.entry ?? []).filter((e) => e.search.mode === mode).map((e) => e.resource.id);
const status = (n) => (fault) => fault.response.status === n && fault.response.data.resourceType === "OperationOutcome";

const scenarios = {
  async capabilities() {
    assert.equal((await client.capabilityStatement()).fhirVersion, "4.0.1");
  },
  async "create, read, vread, update, history, delete"() {
    const made = await client.create({ resourceType: "Patient", body: patient("crud", { name: [{ text: "欧阳桐" }] }) });
    assert.equal(Client.httpFor(made).response.status, 201);
    const at = { resourceType: "Patient", id: made.id };
    assert.equal((await client.read(at)).name[0].text, "欧阳桐");
    const changed = await client.update({ ...at, body: { ...made, gender: "female" } });
    assert.equal(changed.meta.versionId, "2");
    assert.equal((await client.vread({ ...at, version: "1" })).gender, undefined);
    assert.deepEqual((await client.history(at)).entry.map((e) => e.resource.meta.versionId), ["2", "1"]);
    assert.equal((await client.history({ resourceType: "Patient" })).type, "history");
    assert.equal((await client.history()).type, "history");
    await client.delete(at);
    await assert.rejects(client.read(at), status(410));
    await assert.rejects(client.read({ ...at, id: "acid-never" }), status(404));
  },
  async "search, pages, includes, compartment"() {
    const who = await client.create({ resourceType: "Patient", body: patient("search") });
    for (let n = 0; n < 5; n++) await client.create({ resourceType: "Observation", body: seen(`Patient/${who.id}`, 120 + n) });
    const found = [];
    let page = await client.search({ resourceType: "Observation", searchParams: { patient: who.id, _count: 2 } });
    for (let n = 0; page && n < 9; n++) {
      found.push(...ids(page));
      page = await client.nextPage({ bundle: page });
    }
    assert.equal(new Set(found).size, 5);
    assert.equal(found.length, 5);
    const both = await client.search({ resourceType: "Observation", searchParams: { patient: who.id, "value-quantity": "gt123", _include: "Observation:subject" } });
    assert.deepEqual([ids(both).length, ids(both, "include")], [1, [who.id]]);
    const back = await client.search({ resourceType: "Patient", searchParams: { _id: who.id, _revinclude: "Observation:subject" } });
    assert.equal(ids(back, "include").length, 5);
    const posted = await client.search({ resourceType: "Observation", searchParams: { patient: who.id }, options: { postSearch: true } });
    assert.equal(posted.total, 5);
    const within = await client.search({ resourceType: "Observation", compartment: { resourceType: "Patient", id: who.id } });
    assert.equal(ids(within).length, 5);
    const everywhere = await client.search({ searchParams: { _type: "Patient", _id: who.id } });
    assert.deepEqual(ids(everywhere), [who.id]);
    await assert.rejects(client.search({ resourceType: "Patient", searchParams: { birthdate: "yesterday" } }), status(400));
    const all = await client.operation({ name: "everything", resourceType: "Patient", id: who.id, method: "GET" });
    assert.equal(ids(all).length, 6);
  },
  async conditional() {
    const options = { headers: { "If-None-Exist": `identifier=${SYSTEM}|cond` } };
    const [a, b] = [await client.create({ resourceType: "Patient", body: patient("cond"), options }), await client.create({ resourceType: "Patient", body: patient("cond"), options })];
    assert.equal(a.id, b.id);
    const changed = await client.update({ resourceType: "Patient", searchParams: { identifier: `${SYSTEM}|cond` }, body: patient("cond", { gender: "male" }) });
    assert.deepEqual([changed.id, changed.meta.versionId], [a.id, "2"]);
    await assert.rejects(client.update({ resourceType: "Patient", id: a.id, body: changed, options: { headers: { "If-Match": 'W/"1"' } } }), status(412));
  },
  async patch() {
    const made = await client.create({ resourceType: "Patient", body: patient("patch") });
    const JSONPatch = [{ op: "add", path: "/birthDate", value: "1950-01-01" }];
    const changed = await client.patch({ resourceType: "Patient", id: made.id, JSONPatch });
    assert.deepEqual([changed.birthDate, changed.meta.versionId], ["1950-01-01", "2"]);
  },
  async "batch, transaction, reference"() {
    const urn = "urn:uuid:5b7a9f35-4f0f-4a38-9f0c-7a2f3a0a5001";
    const entry = [
      { resource: seen(urn, 120), request: { method: "POST", url: "Observation" } },
      { fullUrl: urn, resource: patient("tx"), request: { method: "POST", url: "Patient" } },
    ];
    const answer = await client.transaction({ body: { resourceType: "Bundle", type: "transaction", entry } });
    assert.deepEqual(answer.entry.map((e) => e.response.status), ["201 Created", "201 Created"]);
    const found = await client.search({ resourceType: "Observation", searchParams: { "patient.identifier": `${SYSTEM}|tx` } });
    const who = await client.resolve({ reference: found.entry[0].resource.subject.reference });
    assert.equal(who.identifier[0].value, "tx");
    const read = { request: { method: "GET", url: `Patient/${who.id}` } };
    const batch = await client.batch({ body: { resourceType: "Bundle", type: "batch", entry: [read, { request: { method: "GET", url: "Patient/acid-never" } }] } });
    assert.deepEqual(batch.entry.map((e) => e.response.status), ["200 OK", "404 Not Found"]);
  },
};

(async () => {
  for (const [name, run] of Object.entries(scenarios)) {
    await run();
    console.log(`ok ${name}`);
  }
})().catch((fault) => {
  console.error(fault, fault.response?.status, JSON.stringify(fault.response?.data));
  process.exitCode = 1;
});
