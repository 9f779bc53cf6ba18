import assert from "node:assert/strict";
import { test } from "node:test";
import { newHub, once, readingError, withConsumer, withProducer, world } from "./world.mjs";

const NOT_FOUND = /The messaging entity .* could not be found/;

test("an unknown hub is not found, in sending, reading and properties", async () => {
  const missing = { code: "MessagingEntityNotFoundError" };
  await withProducer("nobody", async (producer) => {
    await assert.rejects(producer.sendBatch([{ body: 1 }]), missing);
    await assert.rejects(producer.getEventHubProperties(), missing);
  });
  const error = await withConsumer("nobody", (consumer) => readingError(consumer));
  assert.equal(error.code, missing.code);
  assert.match(error.message, NOT_FOUND);
});

test("an unknown consumer group is not found", async () => {
  const hub = await newHub({ consumer_groups: ["known"] });
  const error = await withConsumer(hub, (consumer) => readingError(consumer), { group: "nobody" });
  assert.equal(error.code, "MessagingEntityNotFoundError");
});

test("an unknown partition is not found", async () => {
  const hub = await newHub();
  await withProducer(hub, async (producer) => {
    await assert.rejects(producer.sendBatch([{ body: 1 }], { partitionId: "4" }), {
      code: "MessagingEntityNotFoundError",
    });
    await assert.rejects(producer.getPartitionProperties("4"), { code: "MessagingEntityNotFoundError" });
  });
  const error = await withConsumer(hub, (consumer) => readingError(consumer, { partitionId: "4" }));
  assert.equal(error.code, "MessagingEntityNotFoundError");
});

test("a wrong key is unauthorized, in sending, reading and properties", async () => {
  const hub = await newHub();
  const wrong = world.plain.replace(/SharedAccessKey=[^;]*/, "SharedAccessKey=wrong");
  await withProducer(
    hub,
    async (producer) => {
      await assert.rejects(producer.sendBatch([{ body: 1 }]), { code: "UnauthorizedError" });
      await assert.rejects(producer.getEventHubProperties(), { code: "UnauthorizedError" });
    },
    once,
    wrong,
  );
  const error = await withConsumer(hub, (consumer) => readingError(consumer), { connectionString: wrong });
  assert.equal(error.code, "UnauthorizedError");
});

test("a hub's own key does what it claims, on its hub alone", async () => {
  const hub = await newHub({ keys: [{ name: "ears", value: "secret", claims: ["Listen"] }] });
  const other = await newHub();
  const own = world.plain
    .replace(/SharedAccessKeyName=[^;]*/, "SharedAccessKeyName=ears")
    .replace(/SharedAccessKey=[^;]*/, "SharedAccessKey=secret");
  await withProducer(hub, (producer) => producer.sendBatch([{ body: 1 }], { partitionId: "0" }));
  await withConsumer(
    hub,
    async (consumer) => {
      assert.equal((await consumer.getEventHubProperties()).name, hub);
    },
    { connectionString: own },
  );
  await withProducer(
    hub,
    (producer) => assert.rejects(producer.sendBatch([{ body: 1 }]), { code: "UnauthorizedError", message: /'Send' claim/ }),
    once,
    own,
  );
  await withProducer(
    other,
    (producer) => assert.rejects(producer.sendBatch([{ body: 1 }]), { code: "UnauthorizedError" }),
    once,
    own,
  );
});

test("a sixth reader is one too many", async () => {
  const hub = await newHub();
  await withProducer(hub, (producer) => producer.sendBatch([{ body: 1 }], { partitionId: "0" }));
  await withConsumer(hub, async (consumer) => {
    const five = [];
    await Promise.all(
      Array.from(
        { length: 5 },
        () =>
          new Promise((resolve, reject) => {
            const handlers = {
              processEvents: async (batch) => batch.length && resolve(),
              processError: async (error) => reject(error),
            };
            // The client reads a partition once: each reader is one of its own.
            const reader = new consumer.constructor("$Default", world.plain, hub, once);
            const options = { startPosition: { sequenceNumber: -1 }, maxWaitTimeInSeconds: 1 };
            five.push({ reader, subscribed: reader.subscribe("0", handlers, options) });
          }),
      ),
    );
    const error = await readingError(consumer);
    assert.equal(error.code, "QuotaExceededError");
    assert.match(error.message, /which is 5/);
    for (const { reader, subscribed } of five) {
      await subscribed.close();
      await reader.close();
    }
  });
});

test("a position that the partition never reached is refused", async () => {
  const hub = await newHub();
  const error = await withConsumer(hub, (consumer) =>
    readingError(consumer, { startPosition: { sequenceNumber: 1000 } }),
  );
  assert.equal(error.code, "ArgumentError");
  assert.match(error.message, /last sequence number in the system is '-1'/);
});
