"""Layers with parameters. Each module holds a `forward` and its `backward`."""
