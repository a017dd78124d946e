"""Operations without parameters. Each module holds a `forward` and its `backward`."""
