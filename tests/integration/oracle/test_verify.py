from services.oracle.verification import verify


async def test_a_sound_world_is_clean(sound):
    """Everything sent has landed and was priced: nothing is wrong."""
    verdict = await verify(sound.settings)
    assert verdict.is_clean, verdict
    counts = verdict.counts
    assert (counts.sent, counts.landed, counts.predicted, counts.events, counts.files) == (4, 4, 4, 4, 3)
