"""A daemon's part in a sweep, in a process that may be killed at any step: `python -m tests.integration.sweeping_story DIRECTORY`."""

import asyncio
import json
import sys
from pathlib import Path

from aiosd.host import faults
from aiosd.models.manifest import decode_manifest
from aiosd.storage.chunks import SqlChunks
from aiosd.storage.journal import SqlJournal
from tests.integration.keeping import World


async def main(directory: Path) -> None:
    journal = await SqlJournal.open(f"sqlite:///{directory}/aiosd.db")
    world = World(directory, SqlChunks(journal), faults.reached)
    alive = [decode_manifest(json.dumps(one).encode()) for one in json.loads((directory / "alive.json").read_text())]
    await world.sweep(*alive)
    await journal.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
