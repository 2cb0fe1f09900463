"""Operators that Weft does not know: what they are, and what a user can do about each."""

from hw.npu.errors import Finding, WeftError
from weft.compiler.frontends.variables import REASON
from weft.compiler.graph import Operator

CUSTOM = "CUSTOM:"
"""In front of a custom operator's own name."""

COMPILED = {
    "CUSTOM:ethos-u": ("Vela for an Arm Ethos-U", "Vela"),
    "CUSTOM:edgetpu-custom-op": ("the Edge TPU compiler for a Coral Edge TPU", "that compiler"),
}
"""Operators that stand for layers compiled for another accelerator: by what, and how a message calls it again."""

STATEFUL = (
    "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "RNN", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
)  # fmt: skip
VARIABLES = ("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE")
CONTROL_FLOW = ("CALL", "IF", "STABLEHLO_CASE", "STABLEHLO_WHILE", "WHILE")

REASONS = (
    (STATEFUL, "it keeps a state between runs", "build the network from plain layers, its state as one more input and output"),
    (
        VARIABLES,
        "a variable keeps a state between runs, which cannot be a plain tensor",
        "convert the network with its state as one more input and output",
    ),
    (CONTROL_FLOW, "it is control flow", "convert the network without control flow: loops unrolled, one branch only"),
)
"""Kinds of operators, why each is not supported, and the remedy."""


def refuse_compiled(file, operators: tuple[Operator, ...]):
    """Refuse a file that holds another accelerator's commands.

    Raises
    ------
    WeftError
        It names who compiled it.
    """
    for operator in operators:
        if operator.op in COMPILED:
            compiler, short = COMPILED[operator.op]
            raise WeftError(
                f"was compiled by {compiler}: operator {operator.op.removeprefix(CUSTOM)} holds commands of that accelerator, no layers",
                file=file, layer=operator.title, remedy=f"give the original .tflite file, from before {short}",
            )  # fmt: skip


def unsupported(operator: Operator, float_type: str | None) -> Finding:
    """What to say of an operator that Weft does not know.

    Parameters
    ----------
    operator : Operator
    float_type : str or None
        The type in which it computes, if that is float although the network is quantized.
    """
    reason, remedy = next(((why, what) for ops, why, what in REASONS if operator.op in ops), ("", ""))
    if operator.op.startswith(CUSTOM):
        reason, remedy = "it is a custom operator", "end the network before it, and compute the rest on the host"
    if operator.options.get(REASON):
        reason += f": {operator.options[REASON]}"
    sentence = f"{operator.op}: not supported{': ' * bool(reason)}{reason}"
    if float_type:
        sentence += f", and left in {float_type} in a quantized network"
    usual = "build the network without it, or end the network before it (weft operators lists what is supported)"
    return Finding(operator.op, sentence, operator.title, remedy or usual, kind="unsupported")
