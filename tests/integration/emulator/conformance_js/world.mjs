// The emulator that the caller started, named by environment variables, and the unmodified SDK pointed at it.

import { randomUUID } from "node:crypto";
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition } from "@azure/event-hubs";

export const world = {
  plain: required("EVENT_HUBS"),
  tls: process.env.EVENT_HUBS_TLS,
  websockets: process.env.EVENT_HUBS_WS,
  admin: required("ADMIN"),
};

// What fails is to fail at once.
export const once = { retryOptions: { maxRetries: 0, timeoutInMs: 30_000 } };

function required(name) {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set: tests/integration/emulator/conformance/test_javascript.py starts these tests`);
  }
  return value;
}

/** A hub that nobody else uses; its name. */
export async function newHub({ partitions = 4, ...wanted } = {}) {
  const name = `js-${randomUUID()}`;
  const answer = await fetch(`${world.admin}/hubs/${name}`, {
    method: "PUT",
    body: JSON.stringify({ partition_count: partitions, ...wanted }),
  });
  if (answer.status !== 201) {
    throw new Error(`${answer.status}: ${await answer.text()}`);
  }
  return name;
}

export async function withProducer(hub, use, options = once, connectionString = world.plain) {
  const producer = new EventHubProducerClient(connectionString, hub, options);
  try {
    return await use(producer);
  } finally {
    await producer.close();
  }
}

export async function withConsumer(
  hub,
  use,
  { group = "$Default", options = once, connectionString = world.plain } = {},
) {
  const consumer = new EventHubConsumerClient(group, connectionString, hub, options);
  try {
    return await use(consumer);
  } finally {
    await consumer.close();
  }
}

/** The next `count` events, each with its partition's id, from the beginning unless told otherwise. */
export function received(
  hub,
  count,
  { startPosition = earliestEventPosition, partitionId, connectionString, options: how, ...subscription } = {},
) {
  return withConsumer(hub, async (consumer) => {
    const events = [];
    let subscribed;
    try {
      await new Promise((resolve, reject) => {
        const handlers = {
          processEvents: async (batch, context) => {
            events.push(...batch.map((event) => ({ ...event, partitionId: context.partitionId })));
            if (events.length >= count) resolve();
          },
          processError: async (error) => reject(error),
        };
        const options = { startPosition, maxWaitTimeInSeconds: 1, ...subscription };
        subscribed = partitionId
          ? consumer.subscribe(partitionId, handlers, options)
          : consumer.subscribe(handlers, options);
      });
    } finally {
      await subscribed.close();
    }
    return events;
  }, { connectionString, options: how });
}

/** The error with which a reader cannot go on; what it receives until then goes to `onEvents`. */
export async function readingError(consumer, options = {}, onEvents = () => {}) {
  let subscribed;
  try {
    return await new Promise((resolve) => {
      subscribed = consumer.subscribe(
        options.partitionId ?? "0",
        {
          processEvents: async (batch) => batch.length && onEvents(batch),
          processError: async (error) => resolve(error),
        },
        { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1, ...options },
      );
    });
  } finally {
    await subscribed.close();
  }
}
