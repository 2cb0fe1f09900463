"""Where the tables of a TFLite file have offsets to other tables, vectors and strings; everything else in them is numbers.

A row for each table of TFLite's ``schema.fbs``: how many fields it has and, of those that are offsets, by their number what they lead to.
A test compares it with the accessors of the `tflite` package, field by field.
"""

import tflite

STRING = "string"
"""Bytes behind their count, and a zero."""
ITEM_BYTES = {"[byte]": 1, "[int32]": 4, "[float]": 4, "[int64]": 8}
"""Vectors of numbers, and the bytes of one."""
UNSUPPORTED = "unsupported"
"""A field that no file with int8 weights needs; one that has it is refused."""

SCHEMA: dict[str, tuple[int, dict[int, str]]] = {
    "Model": (8, {
        1: "[OperatorCode]", 2: "[SubGraph]", 3: STRING, 4: "[Buffer]", 5: "[int32]", 6: "[Metadata]", 7: "[SignatureDef]",
    }),
    "OperatorCode": (4, {1: STRING}),
    "SubGraph": (6, {0: "[Tensor]", 1: "[int32]", 2: "[int32]", 3: "[Operator]", 4: STRING}),
    "Tensor": (10, {0: "[int32]", 3: STRING, 4: "QuantizationParameters", 6: UNSUPPORTED, 7: "[int32]", 9: UNSUPPORTED}),
    "QuantizationParameters": (7, {0: "[float]", 1: "[float]", 2: "[float]", 3: "[int64]", 5: UNSUPPORTED}),
    "Operator": (14, {
        1: "[int32]", 2: "[int32]", 4: "BuiltinOptions", 5: "[byte]", 7: "[byte]", 8: "[int32]", 12: UNSUPPORTED,
    }),
    "Buffer": (3, {0: "[byte]"}),
    "Metadata": (2, {0: STRING}),
    "SignatureDef": (5, {0: "[TensorMap]", 1: "[TensorMap]", 2: STRING}),
    "TensorMap": (2, {0: STRING}),
    "ReshapeOptions": (1, {0: "[int32]"}),
    "SqueezeOptions": (1, {0: "[int32]"}),
    "ConcatEmbeddingsOptions": (3, {1: "[int32]", 2: "[int32]"}),
    "BucketizeOptions": (1, {0: "[float]"}),
    "VarHandleOptions": (2, {0: STRING, 1: STRING}),
}  # fmt: skip
OPTIONS = {number: name for name, number in vars(tflite.BuiltinOptions).items() if not name.startswith("_")}
"""The union of operators' options; those without a row above are numbers only, and so has been every
field that later schemas gave them."""
OPTIONS_KIND = 3
"""Field of an ``Operator`` that says which of them it has."""
DATA_ALIGNMENT = 16
"""Of the vector in a ``Buffer``; the other vectors are aligned as their items are."""
