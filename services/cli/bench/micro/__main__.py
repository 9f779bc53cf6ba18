"""Print a table of figures of parts, each with the floor measured in the same run; part of `make bench`."""

from services.cli.bench.micro import decoding, emulator, scoring


def main() -> None:
    print(f"{'figure':<22}{'ours':>12}{'floor':>12}{'ratio':>8}  unit (one core unless it says more)")
    for part in (decoding, scoring, emulator):
        for figure in part.figures():
            rates = f"{figure.rate:>12,.0f}{figure.floor:>12,.0f}{figure.ratio:>8.0%}"
            print(f"{figure.name:<22}{rates}  {figure.unit}")


if __name__ == "__main__":
    main()
