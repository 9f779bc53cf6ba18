"""Raw files due for compaction: their footers and columns, checked to form one chain."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import structlog

from services.compaction.file_groups import RawFile
from shared.lake.client import Lake
from shared.lake.slots.chain import read_file_metadata
from shared.lake.slots.footer import Footer
from shared.lake.slots.slot import ChainKey, hour_folder
from shared.service.errors import ContractChanged, HubRecreated

log = structlog.get_logger()

_READS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Link:
    """A raw file with its footer and its columns."""

    file: RawFile
    footer: Footer
    schema: pa.Schema


async def read_links(
    lake: Lake, chain: ChainKey, group: Sequence[RawFile], next_first: int, created_at: str
) -> list[Link]:
    """Read the leading files of `group` that follow each other without a gap from event `next_first` on.

    A listing may miss a file that is committed while the listing runs. The files after such a gap wait for
    the next pass. Raises HubRecreated if a file is of a hub that was not created at `created_at`.
    """
    links: list[Link] = []
    for start in range(0, len(group), _READS_AT_ONCE):
        some = group[start : start + _READS_AT_ONCE]
        for file, link in zip(
            some, await asyncio.gather(*(_read_link(lake, file) for file in some)), strict=True
        ):
            if link is None or file.first != next_first:
                log.warning(
                    "chain_interrupted",
                    stream=chain.stream,
                    partition=chain.partition,
                    path=file.path,
                    next_sequence_number=next_first,
                )
                return links
            if link.footer.created_at != created_at:
                raise HubRecreated(f"{file.path} and {chain.root} are of different hubs: one was copied in")
            links.append(link)
            next_first = link.footer.next_first
            if link.footer.next_folder != hour_folder(file.hour):
                return links
    return links


async def _read_link(lake: Lake, file: RawFile) -> Link | None:
    metadata = await read_file_metadata(lake, file.path)
    if metadata is None:
        return None
    footer = Footer.from_key_values(metadata.metadata or {}, file.path)
    return Link(file, footer, metadata.schema.to_arrow_schema().remove_metadata())


def unify_schemas(links: Sequence[Link]) -> pa.Schema:
    """Return a schema with the columns of all files. A column that a file lacks is null in that file's rows.

    Raises ContractChanged if a column has different types in two files.
    """
    schemas = {link.schema: link.file.path for link in links}  # one entry a version of the contract
    try:
        unified = pa.unify_schemas(list(schemas))
    except pa.ArrowException as error:
        paths = ", ".join(schemas.values())
        raise ContractChanged(f"{paths} cannot become one table: {error}") from error
    return pa.schema([field.with_nullable(True) for field in unified])
