"""Puts the hashes of Verilog and programs on record as they are now: ``make hashes``; with names of configurations, of these only."""

import sys
from concurrent.futures import ProcessPoolExecutor

from tests.hashes.digest import RECORDED, recorded, write
from tests.hashes.programs import CONFIGS, FILES, file_hashes, random_hashes
from tests.hashes.verilog import NAMES, verilog_hashes

JOBS = 2


def program_rows() -> dict[str, dict[str, str]]:
    """The hashes of all networks whose files are there, by network and configuration."""
    there = [network for network, path in FILES.items() if path.exists()]
    files = {f"{network} on {config.name}": file_hashes(network, config) for network in there for config in CONFIGS}
    return files | random_hashes()


def main(names):
    """Writes the file anew; where no names are given, without what is not made any more."""
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.exit(f"{', '.join(sorted(unknown))}: the names are {', '.join(NAMES)}")
    known = recorded() if RECORDED.exists() else {"verilog": {}, "programs": {}}
    chosen = names or NAMES
    with ProcessPoolExecutor(JOBS) as pool:
        for name, hashes in zip(chosen, pool.map(verilog_hashes, chosen), strict=True):
            known["verilog"][name] = hashes
            write(known)  # what is made stays where the rest is interrupted
            print(name, hashes["text"], flush=True)
    if not names:
        made = program_rows()
        absent = {f"{network} on {config.name}" for network, path in FILES.items() if not path.exists() for config in CONFIGS}
        kept = {name: hashes for name, hashes in known["programs"].items() if name in absent}
        known = {"verilog": {name: known["verilog"][name] for name in NAMES}, "programs": kept | made}
    write(known)


if __name__ == "__main__":
    main(sys.argv[1:])
