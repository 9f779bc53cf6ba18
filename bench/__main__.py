"""`make bench`: a table of figures, each with the floor measured in the same run."""

from bench import decoding, scoring


def main() -> None:
    print(f"{'figure':<16}{'ours':>12}{'floor':>12}{'ratio':>8}  unit (one core)")
    for part in (decoding, scoring):
        for figure in part.figures():
            rates = f"{figure.rate:>12,.0f}{figure.floor:>12,.0f}{figure.ratio:>8.0%}"
            print(f"{figure.name:<16}{rates}  {figure.unit}")


if __name__ == "__main__":
    main()
