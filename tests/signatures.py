"""One file of several networks, each with a signature of its own."""

from collections.abc import Iterable

import flatbuffers
import pytest


def join_models(models: Iterable[tuple[str, bytes]]) -> bytes:
    """A TFLite file with the networks of others, in their order: pairs of a signature's name, or none, and a file.

    Buffers of the same content are one, as converters store them.
    """
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install ai-edge-litert==2.3.0")
    whole, stored = schema.ModelT(version=3, operatorCodes=[], buffers=[], subgraphs=[], signatureDefs=[]), {}
    for key, content in models:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        (subgraph,) = model.subgraphs
        for operator in subgraph.operators:
            operator.opcodeIndex += len(whole.operatorCodes)
        for tensor in subgraph.tensors:
            buffer = model.buffers[tensor.buffer]
            value = b"" if buffer.data is None else bytes(buffer.data)
            if value not in stored:
                stored[value] = len(whole.buffers)
                whole.buffers.append(buffer)
            tensor.buffer = stored[value]
        if key:
            whole.signatureDefs.append(schema.SignatureDefT(signatureKey=key, subgraphIndex=len(whole.subgraphs), inputs=[], outputs=[]))
        whole.subgraphs.append(subgraph)
        whole.operatorCodes += model.operatorCodes
    builder = flatbuffers.Builder(1024)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())
