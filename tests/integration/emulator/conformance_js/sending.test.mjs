import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { EventHubBufferedProducerClient } from "@azure/event-hubs";
import { newHub, once, received, withProducer, world } from "./world.mjs";

// The SDK's own mapping is not exported: it is read from its file.
const mapper = createRequire(import.meta.url)(
  fileURLToPath(
    new URL("./node_modules/@azure/event-hubs/dist/commonjs/impl/partitionKeyToIdMapper.js", import.meta.url),
  ),
);

test("an event arrives with all that was said of it", async () => {
  const hub = await newHub();
  await withProducer(hub, (producer) =>
    producer.sendBatch(
      [
        {
          body: { reading: [1, 2.5, null, "ü"] },
          contentType: "application/json",
          messageId: "m-1",
          correlationId: "c-1",
          properties: { text: "v", number: 7, flag: true, at: new Date(1_700_000_000_000) },
        },
      ],
      { partitionId: "2" },
    ),
  );
  const [event] = await received(hub, 1);
  assert.equal(event.partitionId, "2");
  assert.deepEqual(event.body, { reading: [1, 2.5, null, "ü"] });
  assert.deepEqual([event.contentType, event.messageId, event.correlationId], ["application/json", "m-1", "c-1"]);
  // A moment travels as one; the SDK gives its readers milliseconds.
  assert.deepEqual(event.properties, { text: "v", number: 7, flag: true, at: 1_700_000_000_000 });
  assert.deepEqual([event.sequenceNumber, event.offset], [0, "0"]);
  assert.ok(Math.abs(event.enqueuedTimeUtc - Date.now()) < 3_600_000);
});

test("bodies of every kind come back as that kind", async () => {
  const hub = await newHub({ partitions: 1 });
  const bodies = [
    { body: Buffer.from([0, 255, 1]) },
    { body: "text", bodyType: "value" },
    { body: 7, bodyType: "value" },
    { body: { a: [1, { b: "c" }] }, bodyType: "value" },
    { body: [[1, "two"], [true]], bodyType: "sequence" },
  ];
  await withProducer(hub, (producer) => producer.sendBatch(bodies));
  const events = await received(hub, bodies.length);
  assert.deepEqual(
    events.map((event) => event.body),
    bodies.map(({ body }) => body),
  );
});

test("a batch fills up to a megabyte, and is refused above", async () => {
  const hub = await newHub({ partitions: 1 });
  await withProducer(hub, async (producer) => {
    const batch = await producer.createBatch();
    assert.equal(batch.maxSizeInBytes, 1024 * 1024);
    while (batch.tryAdd({ body: Buffer.alloc(10_000, 120) }));
    assert.ok(batch.sizeInBytes > 1_000_000);
    await producer.sendBatch(batch);
    const events = await received(hub, batch.count);
    assert.deepEqual(
      events.map((event) => event.sequenceNumber),
      [...Array(batch.count).keys()],
    );
    await assert.rejects(
      producer.sendBatch([{ body: Buffer.alloc(1_100_000) }]),
      (error) => error.code === "MessageTooLargeError",
    );
    await producer.sendBatch([{ body: "and on" }]);
  });
});

test("keys choose the partition that the SDK itself expects", async () => {
  const hub = await newHub();
  // Several with a negative hash, where rounding decides.
  const keys = ["vehicle-7", "a", "", "ü", "0", "x".repeat(128), ...Array.from({ length: 26 }, (_, i) => `k${i}`)];
  await withProducer(hub, async (producer) => {
    for (const key of keys.filter(Boolean)) {
      await producer.sendBatch([{ body: key }], { partitionKey: key });
    }
  });
  for (const event of await received(hub, keys.length - 1)) {
    assert.equal(event.partitionKey, event.body);
    assert.equal(event.partitionId, String(mapper.mapPartitionKeyToId(event.body, 4)), event.body);
  }
});

test("the buffered producer hands in everything, keys on their partitions", async () => {
  const hub = await newHub();
  const failed = [];
  const producer = new EventHubBufferedProducerClient(world.plain, hub, {
    ...once,
    maxWaitTimeInMs: 100,
    onSendEventsErrorHandler: async (context) => failed.push(context.error),
  });
  // Its housekeeping would keep the process alive for ten seconds after it is closed.
  producer._backgroundManagementInterval = 100;
  for (let number = 0; number < 300; number += 1) {
    await producer.enqueueEvent({ body: number }, number % 3 ? { partitionKey: `k${number % 3}` } : {});
  }
  await producer.close({ flush: true });
  assert.deepEqual(failed, []);
  const events = await received(hub, 300);
  assert.deepEqual(events.map((event) => event.body).sort((a, b) => a - b), [...Array(300).keys()]);
  for (const { partitionKey, partitionId } of events.filter((event) => event.partitionKey)) {
    assert.equal(partitionId, String(mapper.mapPartitionKeyToId(partitionKey, 4)));
  }
});
