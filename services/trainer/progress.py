"""The progress of a training as log events, so that a person sees that it goes on."""

from shared.service.logs import log


def report(step: str, done: int = 0, of: int = 0) -> None:
    """Log that a step begins; for a repeated step, how many of its repetitions are done."""
    log.info("training_step", step=step, **({"done": done, "of": of} if of else {}))
