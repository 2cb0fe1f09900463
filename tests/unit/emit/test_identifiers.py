"""Names in Verilog: none needs an escape, none is a keyword, and none is there twice."""

import re

import pytest

from hw.emit.identifiers import KEYWORDS, named_parts, plain, plain_rtlil


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("level", "level"),
        ("settings.timeout", "settings__timeout"),
        ("error[1]", "error_1"),
        ("$signature__addr$38", "signature__addr"),
        ("end", "end_"),
        ("priority", "priority_"),
        ("2d", "_2d"),
        ("U$0", "U"),
    ],
)
def test_a_name_becomes_plain(name, legal):
    assert plain(name) == legal
    assert plain(legal) == legal, "what is plain stays"


def test_every_keyword_gets_another_name():
    assert {"end", "config", "table", "priority", "interconnect"} <= KEYWORDS and len(KEYWORDS) == 248
    assert all(re.fullmatch(r"[A-Za-z]\w*", word) and plain(word) not in KEYWORDS for word in KEYWORDS)


def test_names_stay_different_and_texts_and_types_stay():
    text = r"""module \$unit
  wire width 8 \a$1
  wire width 8 \a
  wire width 8 \s.x
  wire width 8 \s__x
  cell \$unit.fifo \end
    connect \data \s.x [3:0]
  end
  cell $check $2
    parameter \FORMAT "a \end of s.x"
  end
end
"""
    assert plain_rtlil(text) == (
        text.replace(r"\a$1", r"\a_2").replace(r"\s.x", r"\s__x_2").replace(r"fifo \end", r"fifo \end_").replace(r"\a_22", r"\a_2")
    )


def test_a_register_that_is_part_of_a_signal_is_named_for_it():
    verilog = r"""module m(a);
  wire [7:0] a;
  reg a_part;
  wire [1:0] _1_;
  reg [1:0] _2_;
  reg \error_reg[1] ;
  always @(posedge clk)
    _2_ <= _1_;
  assign { a[7], a[0] } = _2_;
endmodule
"""
    named = named_parts(verilog)
    assert "  reg [1:0] a_part_2;\n" in named and "    a_part_2 <= _1_;\n" in named and "= a_part_2;\n" in named
    assert "  reg error_reg_1;\n" in named and "wire [1:0] _1_;" in named
