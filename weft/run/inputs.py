"""Inputs of a run: arrays and images from files, or random values from a seed.

Arrays (``.npy``, ``.npz``) hold the network's own integers, or floats, which are quantized as the input tensor says. Images are
resized (bilinear) to the input's height and width, grey or RGB by its channels; a pixel 0..255 becomes ``pixel - 128`` for an
int8 input, ``pixel`` for a uint8 one and ``pixel / 255`` for a float one. Where a network wants something else, give an array.
"""

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from hw.npu.errors import WeftError
from weft.compiler.frontends.tflite_file import ITEM_TYPES
from weft.compiler.graph import Graph, Tensor

ARRAYS = (".npy", ".npz")
"""Suffixes of array files; everything else is opened as an image."""
DEEP_MODES = ("I", "F")
"""Pillow's modes of more than 8 bits a pixel, which it would clip at 255."""
TABLES = {"EMBEDDING_LOOKUP": (0, 1), "GATHER": (1, 0)}
"""Operators that look up entries, the operand that says which, and the one that is the table."""
HANDING_ON = ("CAST", "EXPAND_DIMS", "RESHAPE", "SLICE", "SPLIT", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE", "UNPACK")
"""Operators whose results are numbers of entries where their operands are."""
GIVE_8_BITS = "convert it to 8 bits, or give a .npy or .npz file"


def random_sample(graph: Graph, seed: int | tuple[int, ...]) -> dict[str, np.ndarray]:
    """One value for each input of the network: integers over their whole range, floats standard normal.

    Integers that say which entry of a table is meant, as a text's do of its words, are numbers of entries.

    Raises
    ------
    WeftError
        For an input of a type that is no number.
    """
    rng = np.random.default_rng(seed)
    sample = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        if tensor.dtype not in ITEM_TYPES:
            raise WeftError(f"input {name} is of type {tensor.dtype}, of which there are no values", file=graph.file)
        dtype = np.dtype(tensor.dtype)
        if dtype.kind == "b":
            sample[name] = rng.integers(0, 2, tensor.shape).astype(dtype)
        elif dtype.kind == "f":
            sample[name] = rng.standard_normal(tensor.shape).astype(dtype)
        else:
            entries, bounds = _entries(graph, name), np.iinfo(dtype)
            low, high = (bounds.min, bounds.max) if entries is None else (0, min(entries - 1, bounds.max))
            sample[name] = rng.integers(low, high, tensor.shape, dtype=dtype, endpoint=True)
    return sample


def _entries(graph: Graph, name: str) -> int | None:
    """How many entries the smallest table has that is looked up by an input, or by what only hands it on; None where there is none."""
    names, found = {name}, []
    for operator in graph.operators:
        if operator.op in HANDING_ON and names.intersection(operator.inputs):
            names.update(operator.outputs)
        index, table = TABLES.get(operator.op, (None, 0))
        if index is not None and operator.inputs[index] in names:
            shape = graph.input(operator, table).shape
            found.append(shape[operator.options.get("axis", 0)] if shape else None)
    return min((entries for entries in found if entries), default=None)


def random_samples(graph: Graph, seed: int, count: int) -> list[dict[str, np.ndarray]]:
    """So many samples, each another one; the first is `random_sample`'s."""
    return [random_sample(graph, seed), *(random_sample(graph, (seed, number)) for number in range(1, count))]


def load_samples(graph: Graph, path) -> tuple[list[dict[str, np.ndarray]], list[str]]:
    """Samples of a file.

    Parameters
    ----------
    graph : Graph
    path : str or Path
        ``.npy``: one sample or a batch along a leading axis. ``.npz``: key ``x``, else its only array; or one array for each
        input of the network, by the tensors' names. Anything else: an image.

    Returns
    -------
    samples : list of dict
        Input tensor's name to its value, of the network's shape and type.
    notes : list of str
        What was done to the values, for the user.

    Raises
    ------
    WeftError
        If the file cannot be read, or its content does not fit the network.
    """
    path = Path(path)
    if not path.is_file():
        wrong = "is not a file" if path.exists() else "no such input file"
        raise WeftError(wrong, file=path, remedy="give a .npy, .npz or image file")
    if path.suffix.lower() in ARRAYS:
        arrays, notes = _load_arrays(graph, path), []
    else:
        array, note = _load_image(_only_input(graph, path), path)
        arrays, notes = {graph.inputs[0]: array}, [note]
    columns = {}
    for name, array in arrays.items():
        values, note = _fit(array, graph.tensors[name], path)
        columns[name] = _split(values, graph.tensors[name], path)
        notes += [note] if note else []
    counts = {name: len(values) for name, values in columns.items()}
    if len(set(counts.values())) != 1:
        raise WeftError(f"the inputs hold different numbers of samples: {counts}", file=path)
    return [dict(zip(columns, values)) for values in zip(*columns.values())], notes


def _only_input(graph, path) -> Tensor:
    if len(graph.inputs) != 1:
        names = ", ".join(graph.inputs)
        raise WeftError(f"the network has {len(graph.inputs)} inputs", file=path, remedy=f"use a .npz with the keys {names}")
    return graph.tensors[graph.inputs[0]]


def _load_arrays(graph, path):
    try:
        content = np.load(path, allow_pickle=False)
        if not isinstance(content, np.ndarray):
            content = dict(content)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):  # numpy's own words advise unpickling
        raise WeftError("is damaged, or no numpy file of numbers", file=path, remedy="write it with numpy.save or numpy.savez") from None
    if not isinstance(content, dict):
        return {_only_input(graph, path).name: content}
    if all(name in content for name in graph.inputs):
        return {name: content[name] for name in graph.inputs}
    name = _only_input(graph, path).name
    if "x" in content:
        return {name: content["x"]}
    if len(content) == 1:
        return {name: next(iter(content.values()))}
    raise WeftError(f"holds {', '.join(sorted(content)) or 'nothing'}", file=path, remedy=f"name the input's array x or {name}")


def _load_image(tensor, path):
    channels = tensor.shape[-1] if len(tensor.shape) == 4 else 0
    if channels not in (1, 3):
        raise WeftError(f"an image does not fit the input's shape {tensor.shape}", file=path, remedy="give a .npy or .npz file")
    _, height, width, _ = tensor.shape
    try:
        with Image.open(path) as image:
            if image.mode.startswith(DEEP_MODES):
                raise WeftError(f"an image of mode {image.mode} has more than 8 bits a pixel", file=path, remedy=GIVE_8_BITS)
            size = f"{image.width}x{image.height}"
            grey_or_colour = image.convert("L" if channels == 1 else "RGB")
            resized = grey_or_colour.resize((width, height), Image.Resampling.BILINEAR)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        raise WeftError("is damaged, or no image", file=path, remedy="give an image, or a .npy or .npz file") from None
    pixels = np.asarray(resized, np.uint8).reshape(1, height, width, channels)
    values = {"int8": lambda: (pixels.astype(np.int16) - 128).astype(np.int8), "uint8": lambda: pixels}
    array = values.get(tensor.dtype, lambda: (pixels / np.float32(255)).astype(np.float32))()
    meaning = {"int8": "pixel - 128", "uint8": "the pixel"}.get(tensor.dtype, "pixel / 255")
    return array, f"image of {size} resized to {width}x{height}, {'grey' if channels == 1 else 'RGB'}; value = {meaning}"


def _fit(array, tensor, path):
    """The array in the tensor's type, and what had to be done."""
    if array.dtype == np.dtype(tensor.dtype):
        return array, ""
    if array.dtype.kind == "f" and np.dtype(tensor.dtype).kind == "f":
        return array.astype(tensor.dtype), ""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise WeftError("holds values that are not finite", file=path)
    if array.dtype.kind == "f" and tensor.quantization:
        bounds = np.iinfo(tensor.dtype)
        scaled = np.round(array / tensor.scale) + tensor.zero_point
        note = f"{array.dtype} input quantized with scale {tensor.scale:g} and zero point {tensor.zero_point}"
        return np.clip(scaled, bounds.min, bounds.max).astype(tensor.dtype), note
    if array.dtype.kind in "iu" and np.dtype(tensor.dtype).kind in "iu" and array.size:
        bounds = np.iinfo(tensor.dtype)
        if bounds.min <= array.min() and array.max() <= bounds.max:
            return array.astype(tensor.dtype), ""
    raise WeftError(
        f"values of type {array.dtype} do not fit the input {tensor.name} of type {tensor.dtype}",
        file=path,
        remedy=f"give {tensor.dtype} values, or floats to be quantized",
    )


def _split(array, tensor, path):
    """One array or several of the tensor's shape; a leading 1 may be left out."""
    shape = tuple(tensor.shape)
    bare = shape[1:] if shape[:1] == (1,) else shape
    if array.shape in (shape, bare):
        return [array.reshape(shape)]
    if array.ndim and len(array) and array.shape[1:] in (shape, bare):
        return [one.reshape(shape) for one in array]
    raise WeftError(f"shape {array.shape} does not fit the input {tensor.name} of shape {shape}", file=path)
