"""`python -m krakenwire` is `krakenwire`."""

from krakenwire.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
