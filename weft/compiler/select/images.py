"""Batches: an operator of images does one image after the other, through views that begin at the image's first row.

A batch lies in memory as its images do, one below the other. Where no window of one image reaches into the next, because nothing is padded
above or below and the rows of the windows fill the image, the whole batch is one tall image, and one step does it all. Elsewhere each image
has steps of its own. They share their weights, which are stored once and stay in the weight scratchpad while there is room for them.
"""

from collections.abc import Callable
from dataclasses import replace

from weft.compiler import parameters
from weft.compiler.graph import Operator
from weft.compiler.nests import MOST_PIECES
from weft.compiler.select.selection import Selection
from weft.compiler.steps import HIGHEST_STACK, Extent, Step, View

Build = Callable[[Selection, Operator], list[Step]]


def each_image(build: Build) -> Build:
    """The steps of an operator for every image of a batch, made by a function that knows one image."""

    def built(selection: Selection, operator: Operator) -> list[Step]:
        source, result = parameters.source(selection.graph, operator), selection.graph.output(operator)
        batch = source.shape[0]
        if batch == 1:
            return build(selection, operator)
        tall = batch if _is_tall(selection, operator) else 1
        shapes = {tensor.name: (1, tall * tensor.shape[1], *tensor.shape[2:]) for tensor in (source, result)}
        one = selection.with_shapes(shapes)
        steps = build(one, operator)
        if tall == batch:
            return steps
        if batch * len(steps) > MOST_PIECES:
            selection.refuse(
                operator, f"{batch} images of {len(steps)} steps each are more than the limit of {MOST_PIECES} steps", "use a smaller batch"
            )
        return [_of_image(one, step, number, source.shape[1], result.shape[1]) for number in range(batch) for step in steps]

    return built


def _is_tall(selection, operator) -> bool:
    """No window reaches from one image of the batch into the next when they are one image."""
    if operator.op not in parameters.WINDOWS:
        return False
    source, window = parameters.source(selection.graph, operator), parameters.window(selection.graph, operator)
    height, rows, stride = source.shape[1], window.output[0], window.stride[0]
    last = (rows - 1) * stride + (window.kernel[0] - 1) * window.dilation[0]  # below the height there is no padding either
    return height == rows * stride and last < height and source.shape[0] * height <= HIGHEST_STACK


def _of_image(one: Selection, step: Step, number: int, height: int, made: int) -> Step:
    """The step that was made for an image, for the image of that number; `height` and `made` are rows of an input and an output image."""
    return replace(
        step,
        source_view=_below(one, step.source, step.source_view, step.image, number * height),
        output_view=_below(one, step.output, step.output_view, step.result, number * made),
    )


def _below(one: Selection, name: str, view: View | None, extent: Extent, rows: int) -> View:
    """A view so many rows further down."""
    view = one.seen(name, View(dx=extent.channels)) if view is None else view
    return replace(view, y=view.y + rows)
