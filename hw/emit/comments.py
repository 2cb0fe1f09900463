"""The comment above a module: what it is, what it was made with, and what its ports are, in the words of the component's docstring."""

import inspect
import re
import textwrap
from dataclasses import is_dataclass
from enum import Enum

from amaranth.hdl import ShapeCastable, Value
from amaranth.lib import data

from hw.emit.amaranth_private import arguments

WIDTH = 118
"""Characters of a line of comment."""


def described(components) -> str:
    """The comment above the module of some components: lines of Verilog, each ends with a newline.

    Of constructor arguments it tells those in which the components agree, and that are not off; of members those that they have.
    """
    first = components[0]
    lines = _wrapped("", _sentence(first))
    lines += _wrapped("Parameters: ", ", ".join(f"{name} = {value}".replace(" ", "\0") for name, value in _parameters(components).items()))
    members = _members(first)
    lines += ["Ports, __ between the parts of a name:"] if members else []
    for names, text in members:
        lines += _wrapped("  ", f"{names}: {text}")
    return "".join(f"// {line}".replace("\0", " ").rstrip() + "\n" for line in lines)


def _sentence(component):
    """The first line of the docstring, and the rest of its last sentence; of a class without a docstring its name."""
    doc = type(component).__dict__.get("__doc__")
    if not doc:
        return type(component).__name__
    first, *others = inspect.cleandoc(doc).split("\n\n")[0].replace("`", "").split("\n")
    if first.endswith((".", ":")):
        return first
    return re.match(rf"{re.escape(first)}.*?(?:[.:](?= |$)|$)", " ".join([first, *others]))[0]


def _wrapped(start, text):
    """Lines of a comment that begin with a word, or none where there is nothing behind it."""
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent="    ", break_long_words=False) if text else []


def _parameters(components):
    """Constructor arguments in which the components agree, as text."""
    made = [{name: _value(value) for name, value in arguments(component).items()} for component in components]
    return {name: text for name, text in made[0].items() if text and all(other.get(name) == text for other in made)}


def _value(value) -> str:
    """An argument as text: empty for one that is off or absent, or that no few words tell."""
    if value is None or value is False:
        return ""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, data.StructLayout):
        return f"{value.size} bits of {' '.join(map(str, value.members))}"
    if isinstance(value, ShapeCastable):
        return f"{Value.cast(data.Const(value, 0)).shape().width} bits" if isinstance(value, data.Layout) else type(value).__name__
    if is_dataclass(value):
        return getattr(value, "name", "") if isinstance(getattr(value, "name", ""), str) else ""
    text = repr(value)
    return text if re.fullmatch(r"[\w() ,.*+-]{1,60}", text) else ""


def _members(component):
    """What the docstring says of the members that the component has: pairs of names and text, first sentences only."""
    doc = inspect.cleandoc(type(component).__dict__.get("__doc__") or "")
    section = re.search(r"^Members\n-+\n(.*?)(?=^\S.*\n-{3,}|\Z)", doc, re.MULTILINE | re.DOTALL)
    found = []
    for heading, text in re.findall(r"^(\S.*?) : .*\n((?: +.*\n?|\n)*)", section[1] if section else "", re.MULTILINE):
        names = [name for name in heading.split(", ") if name in component.signature.members]
        if names:
            words = " ".join(text.split()).replace("`", "")
            found.append((", ".join(names), re.split(r"(?<=\.) ", words)[0]))
    return found
