import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket from "ws";
import { newHub, once, received, withConsumer, withProducer, world } from "./world.mjs";

async function roundTrip(connectionString, options = once) {
  const hub = await newHub({ partitions: 1 });
  await withProducer(
    hub,
    async (producer) => {
      await producer.sendBatch([{ body: "there" }]);
      assert.equal((await producer.getEventHubProperties()).name, hub);
    },
    options,
    connectionString,
  );
  await withConsumer(
    hub,
    async (consumer) => assert.equal((await consumer.getPartitionProperties("0")).lastEnqueuedSequenceNumber, 0),
    { connectionString, options },
  );
  const [event] = await received(hub, 1, { connectionString, options });
  assert.equal(event.body, "there");
}

test("over TLS, trusting the emulator's own certificate", () => roundTrip(world.tls));

test("over websockets with TLS", () => roundTrip(world.websockets, { ...once, webSocketOptions: { webSocket: WebSocket } }));
