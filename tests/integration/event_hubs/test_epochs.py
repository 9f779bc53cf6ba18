import asyncio


async def reader(client, epoch, seen, errors):
    """Reads partition 0 with an epoch until it is cancelled."""

    async def on_event(context, event):
        seen.set()

    async def on_error(context, error):
        errors.append(error)
        errors_came.set()

    errors_came = errors.came = asyncio.Event()
    async with client.consumer(retry_total=0) as consumer:
        await consumer.receive(
            on_event, on_error=on_error, partition_id="0", starting_position="-1", owner_level=epoch
        )


class Errors(list):
    """The errors of one reader; `came` is set with the first."""


async def started(client, epoch):
    seen, errors = asyncio.Event(), Errors()
    task = asyncio.create_task(reader(client, epoch, seen, errors))
    return task, seen, errors


async def ended(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_higher_epoch_takes_the_partition_over(client):
    """The older owner loses its link as stolen, the newer one reads on."""
    await client.send(b"x", partition_id="0")
    old_task, old_seen, old_errors = await started(client, 1)
    async with asyncio.timeout(20):
        await old_seen.wait()
        new_task, new_seen, new_errors = await started(client, 2)
        await new_seen.wait()
        await old_errors.came.wait()
    assert "amqp:link:stolen" in str(old_errors[0])
    assert not new_errors
    await ended(old_task, new_task)


async def test_a_lower_epoch_or_none_is_refused(client):
    """While an owner reads, nobody with less gets in."""
    await client.send(b"x", partition_id="0")
    owner, seen, errors = await started(client, 5)
    async with asyncio.timeout(20):
        await seen.wait()
        for epoch in (4, None):
            late, _, late_errors = await started(client, epoch)
            await asyncio.sleep(0)
            await late_errors.came.wait()
            assert "stolen" in str(late_errors[0])
            await ended(late)
    assert not errors
    await ended(owner)
