"""Graphs of FFmpeg's filters for frames of a video."""

from fractions import Fraction
from typing import Any


def filter_graph(frame: Any, tick: Fraction, steps: dict[str, dict[str, str]]) -> Any:
    """A graph for frames like `frame`: `steps` are filters in order, with their options.

    `tick` is the unit of their times in seconds.
    """
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format.name, time_base=tick
    )
    nodes = [graph.add(name, **options) for name, options in steps.items()]
    graph.link_nodes(source, *nodes, graph.add("buffersink")).configure()
    return graph
