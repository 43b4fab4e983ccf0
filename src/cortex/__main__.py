"""``cortex`` and ``python -m cortex``."""

from cortex.cli.application import build


def main() -> None:
    """Run the command line."""
    build()()


if __name__ == "__main__":
    main()
