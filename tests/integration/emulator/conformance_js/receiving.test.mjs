import assert from "node:assert/strict";
import { test } from "node:test";
import { latestEventPosition } from "@azure/event-hubs";
import { newHub, readingError, received, withConsumer, withProducer } from "./world.mjs";

async function filledHub(count = 10) {
  const hub = await newHub({ partitions: 2 });
  await withProducer(hub, async (producer) => {
    for (let number = 0; number < count; number += 1) {
      await producer.sendBatch([{ body: number }], { partitionId: "0" });
    }
  });
  return hub;
}

const first = async (hub, startPosition) =>
  (await received(hub, 1, { partitionId: "0", startPosition }))[0].sequenceNumber;

test("a reader starts wherever it says", async () => {
  const hub = await filledHub();
  const events = await received(hub, 10, { partitionId: "0" });
  const { offset, enqueuedOn = events[4].enqueuedTimeUtc } = events[4];
  assert.equal(await first(hub, { offset }), 5);
  assert.equal(await first(hub, { offset, isInclusive: true }), 4);
  assert.equal(await first(hub, { sequenceNumber: 6 }), 7);
  assert.equal(await first(hub, { sequenceNumber: 6, isInclusive: true }), 6);
  const since = events.find((event) => event.enqueuedTimeUtc > enqueuedOn)?.sequenceNumber;
  if (since !== undefined) {
    assert.equal(await first(hub, { enqueuedOn }), since);
  }
});

test("from the latest on comes only what is new", async () => {
  const hub = await filledHub(1);
  await withConsumer(hub, async (consumer) => {
    let subscribed;
    const bodies = await new Promise((resolve, reject) => {
      const got = [];
      subscribed = consumer.subscribe(
        "0",
        {
          // With nothing there for a second the link is open: what is sent from then on is new.
          processEvents: async (batch) => {
            if (!batch.length && !got.length) {
              await withProducer(hub, (producer) => producer.sendBatch([{ body: "new" }], { partitionId: "0" }));
            }
            got.push(...batch.map((event) => event.body));
            if (got.length) resolve(got);
          },
          processError: async (error) => reject(error),
        },
        { startPosition: latestEventPosition, maxWaitTimeInSeconds: 1 },
      );
    });
    await subscribed.close();
    assert.deepEqual([...new Set(bodies)], ["new"]);
  });
});

test("a reader may know the end of its partition", async () => {
  const hub = await filledHub();
  await withConsumer(hub, async (consumer) => {
    let subscribed;
    const properties = await new Promise((resolve, reject) => {
      subscribed = consumer.subscribe(
        "0",
        {
          processEvents: async (batch, context) => batch.length && resolve(context.lastEnqueuedEventProperties),
          processError: async (error) => reject(error),
        },
        { startPosition: { sequenceNumber: 0 }, trackLastEnqueuedEventProperties: true, maxWaitTimeInSeconds: 1 },
      );
    });
    await subscribed.close();
    const partition = await consumer.getPartitionProperties("0");
    assert.equal(properties.sequenceNumber, 9);
    assert.equal(properties.offset, partition.lastEnqueuedOffset);
    assert.deepEqual(properties.enqueuedOn, partition.lastEnqueuedOnUtc);
  });
});

test("hub and partitions describe themselves", async () => {
  const hub = await filledHub();
  await withConsumer(hub, async (consumer) => {
    const described = await consumer.getEventHubProperties();
    assert.deepEqual([described.name, described.partitionIds], [hub, ["0", "1"]]);
    assert.ok(described.createdOn instanceof Date && !Number.isNaN(described.createdOn.getTime()));
    const full = await consumer.getPartitionProperties("0");
    assert.deepEqual(
      [full.eventHubName, full.partitionId, full.beginningSequenceNumber, full.lastEnqueuedSequenceNumber],
      [hub, "0", 0, 9],
    );
    const empty = await consumer.getPartitionProperties("1");
    assert.deepEqual([empty.isEmpty, empty.lastEnqueuedSequenceNumber, empty.lastEnqueuedOffset], [true, -1, "-1"]);
    assert.equal(full.isEmpty, false);
  });
});

test("a higher owner level takes the partition, a lower one or none is refused", async () => {
  const hub = await filledHub();
  const options = { partitionId: "0" };
  await withConsumer(hub, (older) =>
    withConsumer(hub, async (newer) => {
      let isReading;
      const reads = new Promise((resolve) => (isReading = resolve));
      const displaced = readingError(older, { ...options, ownerLevel: 1 }, isReading);
      await reads;
      let subscribed;
      await new Promise((resolve, reject) => {
        subscribed = newer.subscribe(
          "0",
          { processEvents: async (batch) => batch.length && resolve(), processError: async (error) => reject(error) },
          { startPosition: { sequenceNumber: 0 }, ownerLevel: 2, maxWaitTimeInSeconds: 1 },
        );
      });
      assert.equal((await displaced).code, "ReceiverDisconnectedError");
      for (const ownerLevel of [1, undefined]) {
        const refused = await withConsumer(hub, (late) => readingError(late, { ...options, ownerLevel }));
        assert.equal(refused.code, "ReceiverDisconnectedError");
      }
      await subscribed.close();
    }),
  );
});
